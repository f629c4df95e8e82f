"""What the inbox page shows: one card for each message, refusals beside them, the faults as they are."""

import asyncio
import re
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest
from twilio.base.exceptions import TwilioException

from deploy.simulator.app import STATIC
from deploy.simulator.faults import MODES
from deploy.simulator.server import Running
from tests.integration.simulator.drivers import MAIL, PHONE, Inbox, mail, send


async def shown(inbox: Inbox, channel: str, limit: int = 50) -> list[dict[str, Any]]:
    async with inbox.http.get("/inbox", params={"limit": limit}) as answer:
        return list((await answer.json())[channel]["items"])


@pytest.mark.parametrize("mode", ["slow_drip", "error_after_accept", "no_receipt", "undelivered"])
async def test_an_sms_that_arrived_is_one_card_whatever_its_sender_was_told(
    simulator: Running, inbox: Inbox, mode: str
) -> None:
    more: dict[str, Any] = {"seconds": 0.2} if mode == "slow_drip" else {}
    await inbox.fault("sms", mode, **more)
    with suppress(TwilioException):
        await send(simulator.http_url)
    (item,) = await shown(inbox, "sms")
    assert (item["body"], item["fault"]) == ("Your code is 123456", mode)


async def test_a_mail_that_arrived_before_the_cut_is_one_card(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("email", "cut_after_data")
    with suppress(aiosmtplib.SMTPException):
        await aiosmtplib.send(mail(), hostname="127.0.0.1", port=simulator.smtp_port, start_tls=False)
    (item,) = await shown(inbox, "email")
    assert (item["to"], item["fault"], item["accepted"]) == (MAIL, "cut_after_data", False)


@pytest.mark.parametrize("mode", ["refuse", "error", "rate_limit", "reset"])
async def test_an_sms_that_was_not_taken_is_one_refusal(simulator: Running, inbox: Inbox, mode: str) -> None:
    await inbox.fault("sms", mode)
    with suppress(TwilioException, OSError):
        await send(simulator.http_url)
    items = await shown(inbox, "sms")
    assert {(item["to"], item["mode"]) for item in items} == {(PHONE, mode)}
    assert not any("body" in item for item in items)


async def test_the_newest_is_first_and_the_limit_holds(simulator: Running, inbox: Inbox) -> None:
    for number in range(4):
        await send(simulator.http_url, body=f"number {number}")
    assert [item["body"] for item in await shown(inbox, "sms", limit=2)] == ["number 3", "number 2"]


async def test_the_faults_are_shown_as_they_are_now(inbox: Inbox) -> None:
    await inbox.fault("sms", "refuse", to=PHONE)
    async with inbox.http.get("/inbox") as answer:
        found = await answer.json()
    assert found["sms"]["faults"][PHONE]["mode"] == "refuse"
    assert found["email"]["faults"] == {}


async def test_a_change_of_faults_is_news(inbox: Inbox) -> None:
    async with inbox.http.get("/messages/stream") as stream, asyncio.timeout(5):
        await stream.content.readuntil(b"\r\n\r\n")
        await inbox.fault("sms", "hang")
        assert (await stream.content.readuntil(b"\r\n\r\n")).startswith(b"data:")


@pytest.mark.parametrize("limit", ["0", "-1", "many"])
async def test_a_bad_limit_is_refused(inbox: Inbox, limit: str) -> None:
    async with inbox.http.get("/inbox", params={"limit": limit}) as answer:
        assert answer.status == 400


@pytest.mark.parametrize("channel", ["sms", "email"])
def test_the_page_offers_every_fault_of_the_channel(channel: str) -> None:
    page = Path(STATIC / "inbox.html").read_text()
    section = page[page.index(f'data-channel="{channel}"') :]
    offered = re.findall(r'<option value="(\w*)">', section[: section.index("</select>")])
    assert sorted(offered) == sorted(["", *MODES[channel]])
