"""What a try means that was counted: the judgement that `Logins.try_code` is given, without a database."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast
from uuid import UUID

import pytest

from schemas import codec
from schemas.events import LoginClosed, Verified
from services.login_gateway.house import House
from services.login_gateway.limits import Names
from services.login_gateway.ports import Right, Wrong
from services.login_gateway.settings import GatewaySettings
from services.login_gateway.verify import judged
from services.platform.clock import SystemClock, new_id
from services.platform.http import Problem
from services.platform.keys.codes import Codes
from services.platform.keys.files import make_keys
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import Mint

NOW = datetime.now(UTC)


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> House:
    keys: Path = tmp_path_factory.mktemp("keys")
    make_keys(keys, NOW)
    rings = Keyrings(keys / "gateway")
    limits = {name: field.default for name, field in GatewaySettings.model_fields.items()}
    found = SimpleNamespace(
        settings=SimpleNamespace(**limits),
        codes=Codes(rings.secret("code")),
        mint=Mint(rings.secret("mint")),
        names=Names(rings.secret("search")),
        signer=Signer(rings.secret("grants")),
        clock=SystemClock(),
    )
    return cast(House, found)


def counted(house: House, **changes: Any) -> dict[str, Any]:
    """A login as the counting statements give it: this try is in its counts already."""
    usual = {
        "login_id": new_id(),
        "account_id": new_id(),
        "user_id": new_id(),
        "channels": ["sms", "email"],
        "factors": ["sms", "email"],
        "code_key_id": house.codes.active_id(NOW),
        "salt": b"s" * 16,
        "digits": 6,
        "audience": "apps",
        "auth_time": NOW - timedelta(minutes=1),
        "counted_at": NOW,
        "account_epoch": 1,
        "user_epoch": 1,
        "role": "user",
        "claims": {},
        "device": None,
        "reference": None,
        "fed_by": None,
        "attempts": 1,
        "wrong_total": 1,
        "wrong_today": 1,
        "long_codes": None,
    }
    return usual | changes


def code_of(house: House, login: dict[str, Any], channel: str) -> str:
    login_id: UUID = login["login_id"]
    return house.codes.code(login["code_key_id"], login_id, channel, login["salt"], login["digits"], NOW)


def wrong_of(house: House, login: dict[str, Any]) -> Wrong:
    right = {code_of(house, login, channel) for channel in ("sms", "email")}
    code = next(code for code in ("000000", "000001", "000002") if code not in right)
    found = judged(house, login, code, None)
    assert isinstance(found, Wrong)
    return found


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_a_right_code_proves_its_channel_and_begins_when_it_was_counted(house: House, channel: str) -> None:
    login = counted(house)
    found = judged(house, login, code_of(house, login, channel), None)
    assert isinstance(found, Right)
    assert (found.channel, found.issued_at, found.verify_key) == (channel, int(NOW.timestamp()), None)
    event = codec.decode_for(found.verified.topic, found.verified.value)
    assert isinstance(event, Verified)
    assert (event.acr, event.login_id) == (f"urn:gatepost:acr:pwd+{channel}", str(login["login_id"]))


def test_a_code_that_is_right_for_both_channels_proves_the_weaker(house: House) -> None:
    same = SimpleNamespace(code=lambda *_: "123456")
    twice = cast(House, SimpleNamespace(**{**vars(house), "codes": same}))
    found = judged(twice, counted(house), "123456", None)
    assert isinstance(found, Right)
    assert found.channel == "email"


def test_another_logins_code_is_wrong(house: House) -> None:
    ours, other = counted(house), counted(house)
    mine = {code_of(house, ours, channel) for channel in ("sms", "email")}
    theirs = [code for code in (code_of(house, other, channel) for channel in ("sms", "email")) if code not in mine]
    assert all(isinstance(judged(house, ours, code, None), Wrong) for code in theirs)


@pytest.mark.parametrize(
    ("counts", "follows"),
    [
        ({}, set()),
        ({"attempts": 4}, set()),
        ({"attempts": 5}, {"closed"}),
        ({"wrong_today": 9}, set()),
        ({"wrong_today": 10}, {"long_codes"}),
        ({"long_codes": True}, {"long_codes"}),
        ({"long_codes": False}, set()),
        ({"wrong_total": 99}, set()),
        ({"wrong_total": 100}, {"locked"}),
        ({"fed_by": "cl_1"}, {"fed"}),
    ],
    ids=str,
)
def test_what_follows_from_a_wrong_code(house: House, counts: dict[str, Any], follows: set[str]) -> None:
    found = wrong_of(house, counted(house, **counts))
    assert {name for name in found._fields if getattr(found, name)} == follows


def test_the_last_try_says_that_the_login_is_closed(house: House) -> None:
    closed = wrong_of(house, counted(house, attempts=5)).closed
    assert closed is not None
    event = codec.decode_for(closed.topic, closed.value)
    assert isinstance(event, LoginClosed)
    assert event.reason == "too-many-attempts"


def test_a_code_whose_key_is_not_here_is_neither_right_nor_wrong(house: House) -> None:
    login = counted(house, code_key_id=(house.codes.active_id(NOW) + 100) % 256)
    with pytest.raises(Problem, match="code-key-unavailable"):
        judged(house, login, "123456", None)


@pytest.mark.parametrize(
    ("factors", "channel", "told"),
    [
        (["sms"], "email", True),
        (["sms", "email"], "email", False),
        (["sms"], "sms", False),
        (["email"], "email", False),
    ],
)
def test_the_phone_hears_of_a_code_by_an_email_that_is_off_and_of_no_other(house, factors, channel, told):
    login = counted(house, factors=factors)
    judgement = judged(house, login, code_of(house, login, channel), None)
    assert isinstance(judgement, Right)
    assert (judgement.told is not None) is told
