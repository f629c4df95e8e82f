"""The simulator's gateway, driven by the official package of Standard Webhooks."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.local.environment import Environment
from deploy.local.ports import Ports
from deploy.simulator.server import Running, Settings
from services.delivery.providers import channels_of, readers_of, webhooks_of
from services.delivery.settings import DeliverySettings
from services.platform.settings import load
from tests.integration.simulator.drivers import MAIL, PHONE, Inbox
from tests.integration.simulator.webhook_driver import RECEIPTS_SECRET, Receipts, headers, post, receipts_served


@pytest.fixture
async def receipts() -> AsyncIterator[Receipts]:
    async with receipts_served() as served:
        yield served


async def test_a_message_is_taken_once_for_each_key(simulator: Running, inbox: Inbox) -> None:
    status, first = await post(inbox.http)
    assert (status, first["status"]) == (202, "accepted")
    assert await post(inbox.http) == (202, first)
    assert (await post(inbox.http, key="another"))[1]["id"] != first["id"]
    assert [(m["to"], m["code"], m["provider"]) for m in await inbox.messages()] == [(PHONE, "123456", "webhook")] * 2
    assert [mode for _, mode, _ in await inbox.attempts()] == [None, "repeated", None]


async def test_an_email_has_its_parts(inbox: Inbox) -> None:
    assert (await post(inbox.http, "email", to=MAIL, subject="Your code", html="<p>123456</p>"))[0] == 202
    [found] = await inbox.messages(to=MAIL, channel="email")
    assert (found["subject"], found["html"], found["provider"]) == ("Your code", "<p>123456</p>", "webhook-email")


async def test_what_is_not_signed_is_not_let_in(inbox: Inbox) -> None:
    body, now = '{"to": "+4915112345678", "text": "x"}', datetime.now(UTC)
    right = headers(body)
    for wrong in (
        headers(body, secret=RECEIPTS_SECRET),
        headers(body, at=now - timedelta(minutes=6)),
        right | {"webhook-id": "another", "Idempotency-Key": "another"},
        right | {"webhook-signature": "v1"},
        right | {"Idempotency-Key": "another"},
        {},
    ):
        async with inbox.http.post("/webhook/sms", data=body.encode(), headers=wrong) as answer:
            assert (answer.status, (await answer.json())["error"]["code"]) == (401, 1003)
    assert await inbox.messages() == []


@pytest.mark.parametrize(("said", "code"), [({"to": "1000000"}, 1001), ({"text": ""}, 1002), ({"to": None}, 1002)])
async def test_a_bad_request_has_its_code(inbox: Inbox, said: dict[str, Any], code: int) -> None:
    status, answer = await post(inbox.http, **said)
    assert (status, answer["error"]["code"]) == (422, code)


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        ({"mode": "refuse"}, 422, 1001),
        ({"mode": "refuse", "code": 1005, "status": 400}, 400, 1005),
        ({"mode": "rate_limit"}, 429, 1429),
        ({"mode": "error"}, 500, 1500),
    ],
)
async def test_faults_are_answered(inbox: Inbox, fault: dict[str, Any], status: int, code: int) -> None:
    assert (await inbox.put({"sms": {"webhook:*": fault}}))[0] == 200
    told, answer = await post(inbox.http)
    assert (told, answer["error"]["code"]) == (status, code)
    assert await inbox.messages() == []


async def test_what_was_taken_before_it_failed_is_not_taken_again(inbox: Inbox) -> None:
    await inbox.fault("sms", "error_after_accept", times=1)
    assert (await post(inbox.http))[0] == 500
    assert (await post(inbox.http))[0] == 202
    assert len(await inbox.messages()) == 1


@pytest.mark.parametrize(
    ("mode", "told", "valid"),
    [
        (None, ["sent", "delivered"], True),
        ("undelivered", ["sent", "undelivered"], True),
        ("double_receipt", ["sent", "delivered", "delivered"], True),
        ("forged_receipt", ["sent", "delivered"], False),
    ],
)
async def test_receipts_are_signed_and_follow_the_fault(
    inbox: Inbox, receipts: Receipts, mode: str | None, told: list[str], valid: bool
) -> None:
    if mode:
        await inbox.fault("sms", mode)
    await post(inbox.http, receipts=receipts.url)
    await receipts.reach(len(told))
    assert [(said["status"], said["reference"]) for said in receipts.said] == [(status, "ours") for status in told]
    assert receipts.valid == [valid] * len(told)
    assert receipts.said[-1].get("error") == ({"code": 2001} if mode == "undelivered" else None)


def told(monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sms: str, email: str) -> tuple[Settings, DeliverySettings]:
    """What `make up` tells the simulator and delivery."""
    monkeypatch.setenv("GATEPOST_LOCAL_SMS", sms)
    monkeypatch.setenv("GATEPOST_LOCAL_EMAIL", email)
    local = Environment(tmp_path, Ports(), cast(Any, None))  # no database is needed to tell providers
    assert local.of_simulator() == local.of_simulator(), "a second start finds what the first one made"
    given = {
        "GATEPOST_KAFKA": "127.0.0.1:9092",
        "GATEPOST_DATABASE": "postgresql://d@127.0.0.1/d",
        "GATEPOST_KEYS": ".",
    }
    for name, value in (local.of_simulator() | given | local.providers()).items():
        monkeypatch.setenv(name, value)
    return Settings.from_environment(), load(DeliverySettings)


@pytest.mark.parametrize(
    ("sms", "email", "names"),
    [
        ("webhook", "webhook", ["webhook-email", "webhook"]),
        ("webhook", "smtp", ["smtp", "webhook"]),
        ("twilio", "webhook", ["twilio", "webhook-email"]),
        ("vonage", "ses", ["vonage", "ses"]),
    ],
)
def test_the_local_system_sends_by_whom_it_is_told(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, sms: str, email: str, names: list[str]
) -> None:
    simulated, settings = told(monkeypatch, tmp_path, sms, email)
    webhooks = webhooks_of(settings)
    assert [channel.name for channel in channels_of(settings, webhooks)] == names
    assert (simulated.webhook is not None) == ("webhook" in (sms, email))
    assert ("webhook" in readers_of(settings, webhooks)) == (sms == "webhook")


async def test_another_choice_leaves_no_file_of_the_first(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    told(monkeypatch, tmp_path, "webhook", "webhook")
    _, settings = told(monkeypatch, tmp_path, "webhook", "smtp")
    assert [one.name for one in webhooks_of(settings)] == ["webhook"]
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets").iterdir())
