"""Amazon SES' SendEmail, driven by Amazon's own SDK."""

import asyncio
from pathlib import Path
from typing import Any, cast

import aiohttp
import pytest
from botocore.exceptions import ClientError, HTTPClientError

from deploy.local.environment import Environment
from deploy.local.ports import Ports
from deploy.simulator.server import Running, Settings
from services.delivery.settings import DeliverySettings, revealed
from services.platform.settings import load
from tests.integration.simulator.drivers import MAIL, Inbox
from tests.integration.simulator.ses_driver import content, send, ses

PATH = "/v2/email/outbound-emails"


async def test_an_email_is_taken_and_stands_in_the_inbox(simulator: Running, inbox: Inbox) -> None:
    client = ses(simulator.http_url)
    of = [{"Name": "X-Of", "Value": "this test"}]
    assert len(await send(client, Content=content(html="<p>123456</p>", Headers=of))) == 60
    [found] = await inbox.messages(to=MAIL, channel="email")
    assert (found["code"], found["accepted"], found["provider"]) == ("123456", True, "ses")
    assert (found["subject"], found["html"], found["headers"]["X-Of"]) == ("Your code", "<p>123456</p>", "this test")
    assert found["from"] == "Gatepost <codes@gatepost.example>"


@pytest.mark.parametrize(
    ("changed", "code"),
    [
        ({"aws_access_key_id": "AKIAANOTHER"}, "InvalidClientTokenId"),
        ({"aws_secret_access_key": "another"}, "SignatureDoesNotMatch"),
        ({"region_name": "us-east-1"}, "RequestExpired"),
    ],
)
async def test_a_foreign_key_is_not_let_in(
    simulator: Running, inbox: Inbox, changed: dict[str, Any], code: str
) -> None:
    with pytest.raises(ClientError) as caught:
        await send(ses(simulator.http_url, **changed))
    assert caught.value.response["Error"]["Code"] == code
    assert await inbox.messages() == []


async def test_what_was_changed_after_it_was_signed_is_refused(simulator: Running, inbox: Inbox) -> None:
    sent: list[Any] = []
    client = ses(simulator.http_url)
    client.meta.events.register("before-send.sesv2.SendEmail", lambda request, **_: sent.append(request))
    await send(client)
    [request] = sent
    headers = {name: value.decode() if isinstance(value, bytes) else value for name, value in request.headers.items()}
    body = bytes(request.body)
    date = headers["X-Amz-Date"]
    another_second = f"{date[:-2]}{(int(date[-2]) + 1) % 10}Z"
    altered = [
        (headers, body.replace(b"123456", b"654321")),
        (headers, body + b" "),
        (headers | {"X-Amz-Date": another_second}, body),
        (headers | {"Authorization": headers["Authorization"][:-1] + "x"}, body),
        ({k: v for k, v in headers.items() if k != "Authorization"}, body),
    ]
    async with aiohttp.ClientSession(simulator.http_url) as http:
        for changed, data in altered:
            kept = {k: v for k, v in changed.items() if k != "Content-Length"}
            async with http.post(PATH, data=data, headers=kept) as answer:
                assert answer.status == 403, await answer.text()
        kept = {k: v for k, v in headers.items() if k != "Content-Length"}
        async with http.post(PATH, data=body, headers=kept) as answer:
            assert answer.status == 200
    assert len(await inbox.messages()) == 2


async def test_a_bad_request_gets_amazons_own_code(simulator: Running) -> None:
    cases: list[dict[str, Any]] = [{"Destination": {"ToAddresses": []}}, {"Content": {"Raw": {"Data": b"x"}}}]
    for wrong in cases:
        with pytest.raises(ClientError) as caught:
            await send(ses(simulator.http_url), **wrong)
        assert caught.value.response["Error"]["Code"] == "BadRequestException"


@pytest.mark.parametrize(
    ("fault", "code", "status"),
    [
        ({"mode": "refuse"}, "MessageRejected", 400),
        ({"mode": "refuse", "code": "SendingPausedException"}, "SendingPausedException", 400),
        ({"mode": "smtp_5xx"}, "MessageRejected", 400),
        ({"mode": "smtp_4xx"}, "TooManyRequestsException", 429),
        ({"mode": "error"}, "InternalFailure", 500),
        ({"mode": "error_after_accept", "status": 503}, "InternalFailure", 503),
    ],
)
async def test_faults_have_amazons_words(
    simulator: Running, inbox: Inbox, fault: dict[str, Any], code: str, status: int
) -> None:
    assert (await inbox.put({"email": {"ses:*": fault}}))[0] == 200
    with pytest.raises(ClientError) as caught:
        await send(ses(simulator.http_url))
    said = caught.value.response
    assert (said["Error"]["Code"], said["ResponseMetadata"]["HTTPStatusCode"]) == (code, status)
    assert [m["accepted"] for m in await inbox.messages()] == [False] * (fault["mode"] == "error_after_accept")


@pytest.mark.parametrize(("mode", "arrived"), [("hang", 0), ("slow_drip", 1), ("reset", 0), ("cut_after_data", 1)])
async def test_a_client_with_a_deadline_sees_no_answer(
    simulator: Running, inbox: Inbox, mode: str, arrived: int
) -> None:
    await inbox.fault("email", mode, seconds=20)
    with pytest.raises(HTTPClientError):
        async with asyncio.timeout(15):
            await send(ses(simulator.http_url, timeout=1))
    assert len(await inbox.messages()) == arrived
    assert [tried[1] for tried in await inbox.attempts()] == [mode]


async def test_a_fault_of_one_provider_leaves_the_other_alone(simulator: Running, inbox: Inbox) -> None:
    await inbox.put({"email": {"smtp:*": {"mode": "refuse"}}})
    await send(ses(simulator.http_url))
    assert len(await inbox.messages()) == 1


def test_the_local_system_tells_both_sides_of_the_same_key(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEPOST_LOCAL_EMAIL", "ses")
    local = Environment(tmp_path, Ports(), cast(Any, None))  # no database is needed to tell providers
    kept = local.of_simulator()
    assert local.of_simulator() == kept, "a second start finds what the first one made"
    told = {"GATEPOST_KAFKA": "127.0.0.1:9092", "GATEPOST_DATABASE": "postgresql://d@127.0.0.1/d", "GATEPOST_KEYS": "."}
    for name, value in (kept | told | local.providers()).items():
        monkeypatch.setenv(name, value)
    simulated, settings = Settings.from_environment().ses, load(DeliverySettings)
    assert simulated is not None
    told_both = (settings.ses_region, settings.ses_access_key_id, revealed(settings.ses_secret_access_key))
    assert told_both == (simulated.region, simulated.key_id, simulated.secret)
    assert settings.smtp_host is None


def test_a_provider_that_nobody_speaks_is_refused_by_its_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("GATEPOST_LOCAL_EMAIL", "pigeon")
    with pytest.raises(SystemExit, match="GATEPOST_LOCAL_EMAIL=pigeon: choose one of smtp, ses"):
        Environment(tmp_path, Ports(), cast(Any, None)).providers()
