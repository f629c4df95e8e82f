"""From the challenge to the message, with everything that can go wrong at the providers."""

import asyncio
import json
import re
from base64 import b64decode
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import msgspec
import pytest
import pytest_asyncio

from schemas import codec, topics
from schemas.events import Event
from services.delivery.channels import catalogue
from services.platform.clock import event_id, new_id
from services.platform.kafka import Connection, follower
from tests.e2e.test_commands import Terminal
from tests.integration.delivery.world import Login, World, until


@pytest_asyncio.fixture(scope="module", loop_scope="session", autouse=True)
async def silent(world: World) -> Login:
    """An SMS that the provider took and will say nothing more about: it waits while the other tests run."""
    login = Login()
    await world.faults(sms=at(login, mode="no_receipt"))
    await world.open(login)
    await world.row(login, "sms", "sent")
    return login


def at(login: Login, **fault: Any) -> dict[str, dict[str, Any]]:
    return {str(login.phone): fault}


async def test_a_code_goes_out_by_sms_and_its_receipt_is_believed(world: World):
    login = await world.open(Login())
    text = await world.message(login.phone)
    assert text.endswith(f"#{world.code(login, 'sms')}")
    assert len(text) <= 160
    row = await world.row(login, "sms", "delivered")
    assert row["provider"] == "twilio"
    assert str(login.phone) not in str(await world.timeline(login))


async def test_sms_refused_sends_email_even_when_email_is_off(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="refuse", code=21610))
    await world.open(login)
    text = await world.message(login.email)
    assert world.code(login, "email") in text
    assert world.code(login, "sms") not in text
    sms = await world.row(login, "sms", "failed")
    mail = await world.row(login, "email", "sent")
    assert (sms["reason"], mail["cause"]) == ("opted-out:21610", "fallback:login")
    whats = [step["what"] for step in (await world.timeline(login))["steps"]]
    assert whats == ["queued", "failed", "queued", "sent"]


async def test_gateway_and_dashboards_hear_every_outcome_masked(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="refuse", code=21610))
    async with _outcomes(world, login) as heard:
        await world.open(login)
        events = await until(lambda: heard(2), 15, "two outcomes")
    assert [type(e).__name__ for e in events] == ["DeliveryFailed", "CodeSent"]
    assert (events[0].next, events[0].reason, events[1].channel) == ("email", "opted-out", "email")
    assert not any(str(secret) in str(events) for secret in (login.phone, login.email))


async def test_no_email_on_file_ends_as_failed(world: World):
    login = Login(email=None)
    await world.faults(sms=at(login, mode="refuse"))
    await world.open(login)
    assert (await world.row(login, "sms", "failed"))["reason"] == "invalid-number:21211"
    assert len((await world.timeline(login))["deliveries"]) == 1


async def test_a_provider_that_recovers_gets_the_same_sms_again(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="error", status=503, times=1))
    await world.open(login)
    await world.message(login.phone)
    row = await world.row(login, "sms", "delivered")
    assert row["tries"] == 2
    assert await world.messages(login.email) == []


async def test_a_provider_that_hangs_leaves_doubt_and_an_email(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="hang"))
    await world.open(login)
    await world.message(login.email)
    assert (await world.row(login, "sms", "unknown"))["reason"] == "provider-silent"


async def test_doubt_without_an_email_submits_the_sms_once_more(world: World):
    login = Login(email=None)
    await world.faults(sms=at(login, mode="reset", times=1))
    await world.open(login)
    await world.message(login.phone)
    row = await world.row(login, "sms", "delivered")
    assert row["tries"] == 2


async def test_an_sms_that_a_receipt_calls_undelivered_becomes_an_email(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="undelivered"))
    await world.open(login)
    await world.message(login.email)
    assert (await world.row(login, "sms", "undelivered"))["reason"] == "unreachable:30003"


async def test_the_command_line_says_what_a_provider_s_code_means_and_what_to_do(world: World, tmp_path: Path):
    login = Login()
    await world.faults(sms=at(login, mode="undelivered"))
    await world.open(login)
    await world.row(login, "sms", "undelivered")
    (tmp_path / "client").write_bytes(b64decode(world.auth["Authorization"].removeprefix("Basic ")))
    places = {"GATEPOST_CLIENT_FILE": str(tmp_path / "client"), "GATEPOST_DELIVERY_URL": world.url, "COLUMNS": "250"}
    terminal = Terminal(tmp_path, **places)
    status, said = await terminal.run("deliveries", "show", str(login.login_id))
    assert status == 0, said
    known = catalogue.VENDORS["twilio"].of("30003")
    assert known is not None
    for wanted in ("unreachable:30003", known.meaning, known.next):
        assert wanted in said, said
    status, said = await terminal.run("providers", "errors", "--provider", "vonage", "--json")
    assert (status, json.loads(said)) == (0, list(catalogue.rows("vonage")))


async def test_a_forged_receipt_changes_nothing(world: World):
    login = Login()
    await world.faults(sms=at(login, mode="no_receipt"))
    await world.open(login)
    row = await world.row(login, "sms", "sent")
    url = f"/v1/receipts/twilio?token={world.tokens.make(login.login_id, UUID(row['delivery_id']))}"
    forged = {"MessageSid": "SM1", "MessageStatus": "undelivered", "ErrorCode": "30003"}
    await world.call("POST", url, 403, data=forged, headers={"X-Twilio-Signature": "AAAA"}, auth=None)
    await world.call("POST", url, 403, data=forged, auth=None)
    assert (await world.row(login, "sms", "sent"))["reason"] is None


async def test_a_mailbox_that_is_busy_is_tried_again(world: World):
    login = Login(phone=None)
    await world.faults(email={str(login.email): {"mode": "smtp_4xx", "times": 2}})
    await world.open(login, channel="email")
    await world.message(login.email)
    assert (await world.row(login, "email", "sent"))["tries"] == 3


async def test_a_mail_server_that_stays_away_is_tried_until_the_codes_life_ends(world: World):
    login = Login(phone=None, seconds=8)
    await world.faults(email={str(login.email): {"mode": "smtp_4xx"}})
    async with _outcomes(world, login) as heard:
        event = world.challenge(login, channel="email")
        await world.publish(event)
        row = await world.row(login, "email", "failed")
        (outcome,) = await until(lambda: heard(1), 15, "an outcome")
    last = datetime.fromisoformat((await world.timeline(login))["steps"][-1]["at"])
    assert event.expires_at - timedelta(seconds=3) < last < event.expires_at + timedelta(seconds=1)
    assert row["tries"] >= 4
    assert (outcome.state, outcome.next, outcome.reason) == ("failed", "none", row["reason"])
    assert await world.messages(login.email) == []


@pytest.mark.parametrize(("channel", "notice"), [("sms", "locked"), ("email", "phone-changed")])
async def test_a_notice_has_words_and_no_code_and_is_tried_for_long(world: World, channel: str, notice: str):
    login = Login(seconds=3600)
    to = login.phone if channel == "sms" else login.email
    fault = {"mode": "refuse", "code": 20429, "times": 1} if channel == "sms" else {"mode": "smtp_4xx", "times": 1}
    await world.faults(**{channel: {str(to): fault}})
    await world.publish(world.notice(login, channel, notice))
    text = await world.message(to)
    assert not re.search(r"\d{5,}", text)
    row = await world.row(login, channel, "delivered" if channel == "sms" else "sent")
    assert (row["cause"], row["tries"]) == (f"notice:{notice}", 2)
    assert len((await world.timeline(login))["deliveries"]) == 1


async def test_a_notice_copied_with_another_cause_is_a_dead_letter(world: World):
    event = world.notice(Login(), "sms", "locked")
    await world.publish(msgspec.structs.replace(event, notice="phone-changed", cause="notice:phone-changed"))
    await world.letter("seal-broken", event.time, topics.LOGIN_CHALLENGES.name)
    await world.publish(msgspec.structs.replace(event, notice="phone-changed"))
    await world.letter("invalid", event.time, topics.LOGIN_CHALLENGES.name)


async def test_a_mailbox_that_does_not_exist_is_told_once(world: World):
    login = Login(phone=None)
    await world.faults(email={str(login.email): {"mode": "smtp_5xx"}})
    await world.open(login, channel="email")
    row = await world.row(login, "email", "failed")
    assert (row["tries"], row["reason"]) == (1, "invalid-address")


async def test_an_email_cut_after_its_data_is_sent_once_more(world: World):
    login = Login(phone=None)
    await world.faults(email={str(login.email): {"mode": "cut_after_data", "times": 1}})
    await world.open(login, channel="email")
    await world.row(login, "email", "sent")
    assert len(await world.messages(login.email)) == 2


async def test_a_login_that_was_used_cancels_what_is_not_sent_yet(world: World):
    login = Login(phone=None)
    await world.faults(email={str(login.email): {"mode": "smtp_4xx"}})
    await world.open(login, channel="email")
    await world.row(login, "email", "queued")
    await world.publish(world.verified(login))
    assert (await world.row(login, "email", "cancelled"))["reason"] == "verified"
    await world.faults()
    assert await world.messages(login.email) == []


async def test_expire_all_cancels_the_codes_of_its_user(world: World):
    login = Login(phone=None)
    await world.faults(email={str(login.email): {"mode": "smtp_4xx"}})
    await world.open(login, channel="email")
    await world.row(login, "email", "queued")
    await world.publish(world.expire_all(login))
    assert (await world.row(login, "email", "cancelled", 20))["reason"] == "sessions-expired"


async def test_a_login_verified_before_its_challenge_came_gets_no_code(world: World):
    login = Login()
    await world.publish(world.verified(login))
    await world.closed(login, "verified")
    await world.open(login)
    await world.row(login, "sms", "cancelled")
    assert await world.messages(login.phone) == []


async def test_a_repeated_challenge_sends_once(world: World):
    login = Login()
    event = world.challenge(login)
    for _ in range(3):
        await world.publish(event)
    last = await world.open(Login(user=login.user))  # the same partition: the three were read before it
    await world.row(last, "sms", "delivered")
    row = await world.row(login, "sms", "delivered")
    assert (row["tries"], len((await world.timeline(login))["deliveries"])) == (1, 1)
    assert len(await world.messages(login.phone)) == 1


async def test_a_resend_repeats_the_same_code(world: World):
    login = await world.open(Login())
    first = await world.message(login.phone)
    await world.open(login, cause="resend:1")
    assert await world.message(login.phone, count=2) == first


async def test_a_code_whose_life_is_over_is_not_sent(world: World):
    login = await world.open(Login(seconds=-1))
    assert (await world.row(login, "sms", "expired"))["reason"] == "expired"
    assert await world.messages(login.phone) == []


async def test_a_hundred_logins_at_once_all_get_their_code(world: World):
    logins = [Login() for _ in range(100)]
    await asyncio.gather(*(world.open(login) for login in logins))
    for login in logins:
        assert (await world.message(login.phone, 20)).endswith(world.code(login, "sms"))


class _outcomes:
    """Follows delivery-outcomes from now on and keeps one login's events."""

    def __init__(self, world: World, login: Login) -> None:
        self._consumer = follower(Connection(world.kafka), "gatepost-test", auto_offset_reset="latest")
        self._login = str(login.login_id)
        self._events: list[Event] = []

    async def __aenter__(self) -> Any:
        await self._consumer.start()
        self._consumer.subscribe([topics.DELIVERY_OUTCOMES.name])
        await self._consumer.getmany(timeout_ms=1500)
        return self.heard

    async def __aexit__(self, *error: object) -> None:
        await self._consumer.stop()

    async def heard(self, count: int) -> list[Event] | None:
        for records in (await self._consumer.getmany(timeout_ms=200)).values():
            events = [codec.decode_for(record.topic, record.value) for record in records]
            self._events += [event for event in events if event.login_id == self._login]
        order = sorted(self._events, key=lambda e: e.time)
        return order if len(order) >= count else None


@pytest.mark.parametrize("field", ["cause", "expires_at", "channels", "account_id", "user_id"])
async def test_a_challenge_copied_with_something_else_in_it_is_a_dead_letter(world: World, field: str):
    login = Login()
    event = world.challenge(login)
    later = event.expires_at.replace(year=event.expires_at.year + 1)
    other = str(new_id())
    change = {
        "cause": "resend:7",
        "expires_at": later,
        "channels": ("email",),
        "account_id": other,
        "user_id": other,
    }[field]
    await world.publish(msgspec.structs.replace(event, **{field: change}, id=event_id("copy", login.login_id)))
    await world.letter("seal-broken", event.time, "login-challenges")
    assert await world.messages(login.phone) == await world.messages(login.email) == []
    assert (await world.timeline(login))["deliveries"] == []


async def test_a_receipt_that_never_comes_becomes_an_email_after_25_s(world: World, silent: Login):
    await world.message(silent.email, seconds=40)
    assert (await world.row(silent, "sms", "unknown"))["reason"] == "no-receipt"
    made = {row["channel"]: datetime.fromisoformat(row["created_at"]) for row in await deliveries_of(world, silent)}
    assert made["email"] - made["sms"] > timedelta(seconds=24)


async def deliveries_of(world: World, login: Login) -> Any:
    return (await world.timeline(login))["deliveries"]
