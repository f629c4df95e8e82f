"""What people and tests use: messages, attempts, faults, the page and its stream."""

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

import pytest
from twilio.base.exceptions import TwilioRestException
from vonage_http_client.errors import ServerError

from deploy.simulator.server import Running
from tests.integration.simulator import vonage_driver
from tests.integration.simulator.drivers import OTHER, PHONE, SID, Inbox, send


async def test_a_fault_hits_its_recipient_and_only_so_often(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("sms", "refuse", to="+49 151 12345678", times=1)
    await send(simulator.http_url, to=OTHER)
    with pytest.raises(TwilioRestException, match="not a valid phone"):
        await send(simulator.http_url, to=PHONE)
    await send(simulator.http_url, to=PHONE)
    assert [m["to"] for m in await inbox.messages()] == [OTHER, PHONE]


@pytest.mark.parametrize(
    ("body", "named"),
    [
        ([], '"sms"'),
        ({"fax": {}}, '"email"'),
        ({"sms": {"*": {"mode": "explode"}}}, "late_receipt"),
        ({"email": {"*": {"mode": "undelivered"}}}, "cut_after_data"),
        ({"email": {"*": {"mode": "refuse", "code": "no name"}}}, "code"),
        ({"sms": {"*": {"mode": "refuse", "code": "MessageRejected"}}}, "code"),
        ({"sms": {"*": {"mode": "hang", "seconds": "2"}}}, "seconds"),
        ({"sms": {"*": {"mode": "refuse", "times": 0}}}, "times"),
        ({"sms": {"*": {"mode": "refuse", "colour": 1}}}, "colour"),
        ({"email": {"*": {"mode": "smtp_4xx", "code": 550}}}, "499"),
        ({"sms": {"pigeon:*": {"mode": "refuse"}}}, "vonage"),
    ],
)
async def test_a_bad_fault_is_refused_with_what_is_allowed(inbox: Inbox, body: Any, named: str) -> None:
    status, answer = await inbox.put(body)
    assert status == 400
    assert named in answer["detail"]


async def test_a_fault_may_be_of_one_provider_only(simulator: Running, inbox: Inbox) -> None:
    await inbox.put({"sms": {"vonage:*": {"mode": "error"}, f"twilio:{OTHER}": {"mode": "error"}}})
    with pytest.raises(ServerError):
        await vonage_driver.send(simulator.http_url)
    with pytest.raises(TwilioRestException):
        await send(simulator.http_url, to=OTHER)
    await send(simulator.http_url)
    assert [(m["provider"], m["to"]) for m in await inbox.messages()] == [("twilio", PHONE)]
    async with inbox.http.get("/attempts") as answer:
        found = [(a["provider"], a["answered"]) for a in (await answer.json())["attempts"]]
    assert found == [("vonage", "500"), ("twilio", "500"), ("twilio", "201")]


async def test_faults_are_shown_and_taken_back(inbox: Inbox) -> None:
    await inbox.fault("email", "smtp_5xx", code=552)
    async with inbox.http.get("/faults") as answer:
        assert (await answer.json())["email"]["*"]["code"] == 552
    async with inbox.http.delete("/faults") as answer:
        assert await answer.json() == {"sms": {}, "email": {}}


async def test_after_and_limit_narrow_the_list(simulator: Running, inbox: Inbox) -> None:
    for body in ("first 111111", "second 222222", "third 333333"):
        await send(simulator.http_url, body=body)
    first, second, third = await inbox.messages()
    assert await inbox.messages(after=first["id"]) == [second, third]
    assert await inbox.messages(after=second["at"]) == [third]
    assert await inbox.messages(limit="1") == [third]


async def test_waiting_ends_when_the_message_arrives(simulator: Running, inbox: Inbox) -> None:
    waiting = asyncio.create_task(inbox.messages(to=PHONE, wait="10"))
    await send(simulator.http_url, to=OTHER)
    assert not waiting.done()
    await send(simulator.http_url, to=PHONE)
    assert [m["to"] for m in await asyncio.wait_for(waiting, 3)] == [PHONE]


@pytest.mark.parametrize("query", [{"wait": "nan"}, {"wait": "x"}, {"after": "2026-01-01T00:00:00"}, {"limit": "0"}])
async def test_a_bad_query_is_refused(inbox: Inbox, query: dict[str, str]) -> None:
    async with inbox.http.get("/messages", params=query) as answer:
        assert answer.status == 400


async def test_delete_clears_messages_and_attempts(simulator: Running, inbox: Inbox) -> None:
    await send(simulator.http_url)
    async with inbox.http.delete("/messages") as answer:
        assert answer.status == 200
    assert (await inbox.messages(), await inbox.attempts()) == ([], [])


async def test_the_stream_tells_of_news(simulator: Running, inbox: Inbox) -> None:
    async with inbox.http.get("/messages/stream") as stream, asyncio.timeout(5):
        first = await stream.content.readuntil(b"\r\n\r\n")
        await send(simulator.http_url)
        assert first.startswith(b"data:")
        assert await stream.content.readuntil(b"\r\n\r\n") != first


async def test_the_page_has_a_policy_and_no_inline_script(inbox: Inbox) -> None:
    async with inbox.http.get("/") as answer:
        page = await answer.text()
        assert "script-src 'self'" in answer.headers["Content-Security-Policy"]
    assert "<script src=" in page
    assert "onclick" not in page
    assert "https://" not in page


async def test_the_process_ends_cleanly_on_sigterm(tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text("a token\n")
    names = {"HTTP_PORT": "0", "SMTP_PORT": "0", "TWILIO_SID": SID, "TWILIO_TOKEN_FILE": str(secret)}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "deploy.simulator"),
        env=os.environ | {f"GATEPOST_SIM_{name}": value for name, value in names.items()},
        stdout=asyncio.subprocess.PIPE,
    )
    assert process.stdout is not None
    assert (await asyncio.wait_for(process.stdout.readline(), 10)).startswith(b"inbox http://127.0.0.1:")
    process.send_signal(signal.SIGTERM)
    assert await asyncio.wait_for(process.wait(), 5) == 0
