"""Keys: what they make opens only where it belongs."""

import asyncio
import json
import os
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from typer.testing import CliRunner

from services.platform import commands
from services.platform.keys import codes as codes_module
from services.platform.keys import contacts, deadletters, files, grants, keyring, tokens
from services.platform.keys.codes import Codes, RetiredKey, roll_daily
from services.platform.keys.keyring import KeyringError, Keyrings, Ring, SealBroken

NOW = datetime.now(UTC).replace(hour=12)


@pytest.fixture(scope="module")
def keys(tmp_path_factory):
    folder = tmp_path_factory.mktemp("keys")
    files.make_keys(folder, NOW)
    return folder


def ring(keys: Path, service: str, purpose: str) -> Ring:
    return Keyrings(keys / service).secret(purpose)


def test_each_service_gets_only_its_own_keyrings(keys):
    assert {p.stem for p in (keys / "session-store").iterdir()} == {"session", "grants.pub", "dead-letters.pub"}
    assert not (keys / "delivery" / "mint.json").exists()
    assert not (keys / "delivery" / "grants.json").exists()


def test_a_keyring_that_the_world_can_read_is_refused(keys, tmp_path):
    path = tmp_path / "login.json"
    path.write_text((keys / "gateway" / "login.json").read_text())
    path.chmod(0o644)
    with pytest.raises(KeyringError, match="chmod"):
        Ring(path)


def test_a_missing_keyring_is_named_with_the_command_that_makes_it(tmp_path):
    with pytest.raises(KeyringError, match=r"login\.json.*gatepost keys new"):
        Keyrings.load(tmp_path, ["login"])


def test_gateway_and_delivery_derive_the_same_code_and_channels_differ(keys):
    login_id, salt = uuid4(), os.urandom(16)
    mine, theirs = Codes(ring(keys, "gateway", "code")), Codes(ring(keys, "delivery", "code"))
    key_id = mine.active_id(NOW)
    sms = mine.code(key_id, login_id, "sms", salt, 10, NOW)
    assert sms == theirs.code(key_id, login_id, "sms", salt, 10, NOW)
    assert len(sms) == 10
    assert sms != mine.code(key_id, login_id, "email", salt, 10, NOW)
    assert sms != mine.code(key_id, uuid4(), "sms", salt, 10, NOW)


def test_the_code_key_rotates_daily_and_yesterdays_is_refused_after_twenty_minutes(keys):
    login_id, salt = uuid4(), os.urandom(16)
    codes = Codes(ring(keys, "gateway", "code"))
    yesterday = codes.active_id(NOW)
    midnight = (NOW + timedelta(days=1)).replace(hour=0, minute=0)
    assert codes.active_id(midnight) != yesterday
    before = codes.code(yesterday, login_id, "sms", salt, 6, NOW)
    assert codes.code(yesterday, login_id, "sms", salt, 6, midnight + timedelta(minutes=19)) == before
    with pytest.raises(RetiredKey):
        codes.code(yesterday, login_id, "sms", salt, 6, midnight + timedelta(minutes=21))


def test_keys_made_just_after_midnight_serve_a_service_whose_clock_is_behind(tmp_path):
    midnight = (NOW + timedelta(days=1)).replace(hour=0, minute=0, second=5)
    files.make_keys(tmp_path, midnight)
    behind = midnight - timedelta(seconds=30)
    mine, theirs = Codes(ring(tmp_path, "gateway", "code")), Codes(ring(tmp_path, "delivery", "code"))
    key_id, login_id = mine.active_id(behind), uuid4()
    assert key_id != theirs.active_id(midnight)
    code = mine.code(key_id, login_id, "sms", b"s" * 16, 6, behind)
    assert code == theirs.code(key_id, login_id, "sms", b"s" * 16, 6, midnight)


def test_a_rolled_code_key_file_gives_no_code_of_the_past(keys, tmp_path):
    path = tmp_path / "code.json"
    path.write_text((keys / "gateway" / "code.json").read_text())
    path.chmod(0o600)
    login_id, salt, later = uuid4(), os.urandom(16), NOW + timedelta(days=3)
    expected = Codes(Ring(path)).code(Codes(Ring(path)).active_id(later), login_id, "sms", salt, 8, later)
    Codes(Ring(path)).roll(later)
    rolled = Codes(Ring(path))
    assert json.loads(path.read_text())["day"] == later.date().isoformat()
    assert rolled.code(rolled.active_id(later), login_id, "sms", salt, 8, later) == expected
    with pytest.raises(RetiredKey):
        rolled.code(rolled.active_id(NOW), login_id, "sms", salt, 8, NOW)


MIDNIGHT = (NOW + timedelta(days=3)).replace(hour=0, minute=0, second=0, microsecond=0)
LAST_SECOND = MIDNIGHT - timedelta(seconds=1)


class Hands:
    """A clock that a test turns: each pause lets the next hour of the list come, and the last one ends the work."""

    def __init__(self, *times: datetime) -> None:
        self._times = list(times)

    def now(self) -> datetime:
        return self._times[0]

    def monotonic(self) -> float:
        return self._times[0].timestamp()

    async def pause(self, seconds: float) -> None:
        self._times.pop(0)
        if not self._times:
            raise asyncio.CancelledError


async def roll_at(codes: Codes, *times: datetime) -> None:
    hands = Hands(*times)
    with suppress(asyncio.CancelledError):
        await roll_daily(codes, hands, pause=hands.pause)


def day_in(path: Path) -> str:
    return str(json.loads(path.read_text())["day"])


@pytest.fixture
def both(tmp_path) -> tuple[Codes, Codes, Path, Path]:
    """Gateway and delivery, each with its own new file."""
    files.make_keys(tmp_path)
    paths = [tmp_path / service / "code.json" for service in ("gateway", "delivery")]
    return Codes(Ring(paths[0])), Codes(Ring(paths[1])), paths[0], paths[1]


async def test_the_file_moves_on_while_the_service_runs_twenty_minutes_after_midnight(both):
    codes, _, path, _ = both
    before = {"day": LAST_SECOND.date().isoformat(), "next": MIDNIGHT.date().isoformat()}
    await roll_at(codes, LAST_SECOND, MIDNIGHT + timedelta(minutes=19))
    assert day_in(path) == before["day"]
    await roll_at(codes, MIDNIGHT + timedelta(minutes=20))
    assert day_in(path) == before["next"]


@pytest.mark.parametrize("ahead", ["gateway", "delivery"])
async def test_a_code_of_a_days_last_second_still_verifies_when_one_service_rolled_and_the_other_did_not(both, ahead):
    gateway, delivery, *_ = both
    login_id, salt, key_id = uuid4(), os.urandom(16), gateway.active_id(LAST_SECOND)
    await roll_at({"gateway": gateway, "delivery": delivery}[ahead], LAST_SECOND, MIDNIGHT + timedelta(minutes=10))
    sent = delivery.code(key_id, login_id, "sms", salt, 6, MIDNIGHT + timedelta(seconds=1))
    assert gateway.code(key_id, login_id, "sms", salt, 6, MIDNIGHT + timedelta(minutes=10)) == sent


async def test_a_code_of_the_new_day_verifies_where_the_clock_still_shows_the_old_one(both):
    gateway, delivery, *_ = both
    login_id, salt, key_id = uuid4(), os.urandom(16), gateway.active_id(MIDNIGHT)
    await roll_at(gateway, MIDNIGHT + timedelta(minutes=30))
    sent = delivery.code(key_id, login_id, "sms", salt, 6, LAST_SECOND)
    assert gateway.code(key_id, login_id, "sms", salt, 6, MIDNIGHT) == sent


async def test_a_file_that_another_process_moved_on_gives_the_same_codes(both, monkeypatch):
    monkeypatch.setattr(keyring, "RELOAD_SECONDS", 0.0)
    gateway, delivery, path, _ = both
    login_id, salt, key_id = uuid4(), os.urandom(16), gateway.active_id(MIDNIGHT)
    await roll_at(Codes(Ring(path)), MIDNIGHT + timedelta(hours=1))
    given = [codes.code(key_id, login_id, "sms", salt, 6, MIDNIGHT) for codes in (gateway, delivery)]
    assert given[0] == given[1]


async def test_a_file_that_cannot_be_written_stops_nothing(both, monkeypatch):
    gateway, _, path, _ = both
    day = day_in(path)

    def refuse(*_: object) -> None:
        raise PermissionError

    monkeypatch.setattr(codes_module, "write_ring", refuse)
    await roll_at(gateway, MIDNIGHT + timedelta(hours=1), MIDNIGHT + timedelta(hours=2))
    assert day_in(path) == day
    assert gateway.code(gateway.active_id(MIDNIGHT), uuid4(), "sms", b"salt", 6, MIDNIGHT)


def test_a_sealed_contact_opens_only_in_its_own_place(keys):
    sealer = contacts.Contacts(ring(keys, "gateway", "contacts"))
    blob = sealer.seal(b"+442079460958", contacts.column_info("contacts", "users", "u1", "phone"))
    assert sealer.open(blob, contacts.column_info("contacts", "users", "u1", "phone")) == b"+442079460958"
    with pytest.raises(SealBroken):
        sealer.open(blob, contacts.column_info("contacts", "users", "u2", "phone"))


CHANGED: dict[str, Any] = {
    "event": "EmailFallbackRequested",
    "login_id": uuid4(),
    "account_id": uuid4(),
    "user_id": uuid4(),
    "cause": "resend:1",
    "channel": "email",
    "expires_at": NOW + timedelta(1),
    "code_key_id": 8,
    "digits": 8,
}


@pytest.mark.parametrize("field", contacts.Bound._fields)
def test_a_copied_redirected_or_prolonged_challenge_does_not_open(keys, field):
    sealer, opener = (contacts.Contacts(ring(keys, s, "contacts")) for s in ("gateway", "delivery"))
    place = contacts.Bound("LoginChallenged", uuid4(), uuid4(), uuid4(), "login", "sms", NOW, 7, 6)
    secrets = contacts.LoginSecrets(salt=os.urandom(16), phone="+442079460958", email="ada@example.com")
    sealed = contacts.seal_login(sealer, place, secrets)
    assert contacts.open_login(opener, place, sealed) == secrets
    with pytest.raises(SealBroken):
        contacts.open_login(opener, place._replace(**{field: CHANGED[field]}), sealed)


def test_handles_and_tokens_are_read_back_and_every_alteration_is_refused(keys):
    handles = tokens.Handles(ring(keys, "gateway", "login"))
    minted = tokens.Mint(ring(keys, "gateway", "mint"))
    sessions = tokens.SessionTokens(ring(keys, "gateway", "session"))
    reader = tokens.SessionTokens(ring(keys, "session-store", "session"))
    login_id = uuid4()
    secret = minted.secret(login_id, 1_800_000_000)
    token, handle = sessions.make(login_id, 1_800_000_000, secret), handles.make(login_id)
    assert reader.read(token) == tokens.Token(login_id, 1_800_000_000, tokens.secret_hash(secret))
    assert handles.read(handle) == login_id
    receipts = tokens.ReceiptTokens(ring(keys, "delivery", "receipts"))
    delivery_id = uuid4()
    receipt = receipts.make(login_id, delivery_id)
    assert receipts.read(receipt) == delivery_id
    assert len(receipt) <= 100, "Vonage hands no longer reference back"
    for good, read in ((token, reader.read), (handle, handles.read), (receipt, receipts.read)):
        for i in range(3, len(good)):
            with pytest.raises(tokens.BadToken):
                read(good[:i] + ("A" if good[i] != "A" else "B") + good[i + 1 :])
        for bad in (good[:-1], good + "A", "", "gp_", "lg_", "rc_", good.upper(), handle if good == token else token):
            with pytest.raises(tokens.BadToken):
                read(bad)


def test_a_signature_covers_topic_key_and_value(keys):
    signer = grants.Signer(ring(keys, "gateway", "grants"))
    verifier = grants.Verifier(ring(keys, "session-store", "grants.pub"))
    signature = signer.sign("session-events", b"k", b"v")
    verifier.verify("session-events", b"k", b"v", signature)
    for topic, key, value, given in (
        ("clients", b"k", b"v", signature),
        ("session-events", b"kv", b"", signature),
        ("session-events", b"k", b"w", signature),
        ("session-events", b"k", b"v", None),
        ("session-events", b"k", b"v", b"\x09" + signature[1:]),
    ):
        with pytest.raises(grants.BadSignature):
            verifier.verify(topic, key, value, given)


def test_a_dead_letter_opens_only_with_deliverys_key(keys):
    sealed = deadletters.DeadLetterSeal(ring(keys, "gateway", "dead-letters.pub")).seal(b"bytes")
    assert deadletters.DeadLetterOpener(ring(keys, "delivery", "dead-letters")).open(sealed) == b"bytes"
    altered = sealed[:-1] + bytes((sealed[-1] ^ 1,))
    with pytest.raises(SealBroken):
        deadletters.DeadLetterOpener(ring(keys, "delivery", "dead-letters")).open(altered)


def test_a_new_key_is_distributed_before_it_is_active(keys, tmp_path):
    files.make_keys(tmp_path)
    key_id = files.add_key(tmp_path, "grants")
    assert ring(tmp_path, "gateway", "grants").active.id == 1
    assert ring(tmp_path, "delivery", "grants.pub").ids() == [1, key_id]
    files.activate(tmp_path, "grants", key_id)
    signer = grants.Signer(ring(tmp_path, "gateway", "grants"))
    grants.Verifier(ring(tmp_path, "delivery", "grants.pub")).verify("t", b"", b"", signer.sign("t", b"", b""))


def test_a_revoked_session_key_ends_the_tokens_that_name_it(keys, tmp_path):
    files.make_keys(tmp_path)
    ends, stays = UUID(int=1), UUID(int=2)
    before = tokens.SessionTokens(ring(tmp_path, "gateway", "session")).make(ends, 1, b"s" * 16)
    files.activate(tmp_path, "session", files.add_key(tmp_path, "session"))
    after = tokens.SessionTokens(ring(tmp_path, "gateway", "session")).make(stays, 1, b"s" * 16)
    done = CliRunner().invoke(commands.keys, ["revoke", "session", "1", "--dir", str(tmp_path), "--yes"])
    assert (done.exit_code, "the sessions" in done.output) == (0, True)
    store = tokens.SessionTokens(ring(tmp_path, "session-store", "session"))
    assert store.read(after).login_id == stays
    with pytest.raises(tokens.BadToken):
        store.read(before)


def test_the_active_key_is_not_revoked(keys, tmp_path):
    files.make_keys(tmp_path)
    with pytest.raises(KeyringError, match="is active"):
        files.revoke(tmp_path, "session", 1)


@pytest.mark.parametrize(
    ("text", "reason"), [("12", "country code"), ("+44", "not a phone"), ("+4412", "too"), ("abc", "phone")]
)
def test_a_bad_phone_is_refused_with_the_reason(text, reason):
    with pytest.raises(contacts.BadContact, match=reason):
        contacts.parse_phone(text)


def test_masks_show_country_and_end_only():
    assert contacts.mask_phone("+442079460967") == "+44 •••• ••67"
    assert contacts.mask_email("ada@example.com") == "a•••@example.com"
    assert contacts.mask_email("ada@example.com", domain=False) == "a•••@•••"
    assert contacts.country_of("+442079460967") == "GB"
