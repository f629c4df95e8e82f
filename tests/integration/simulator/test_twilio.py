"""Twilio's Messages API, driven by Twilio's own package."""

import asyncio
import time
from typing import Any

import pytest
import requests
from twilio.base.exceptions import TwilioRestException

from deploy.simulator.server import Running
from tests.integration.simulator.drivers import OTHER, PHONE, SID, Callbacks, Inbox, client, send


async def test_a_message_is_taken_and_stands_in_the_inbox(simulator: Running, inbox: Inbox) -> None:
    sent = await send(simulator.http_url)
    assert (len(sent.sid), sent.sid[:2], sent.account_sid, sent.status, sent.error_code) == (
        34,
        "SM",
        SID,
        "queued",
        None,
    )
    assert sent.date_created.tzinfo is not None
    [found] = await inbox.messages(to=PHONE, channel="sms")
    assert (found["code"], found["accepted"], found["from"]) == ("123456", True, "+12025550123")


async def test_a_message_can_be_fetched_and_listed_and_an_unknown_one_is_20404(simulator: Running) -> None:
    sent = await send(simulator.http_url, messaging_service_sid="MG" + "1" * 32, from_=None)
    twilio = client(simulator.http_url)
    assert (await asyncio.to_thread(twilio.messages(sent.sid).fetch)).body == sent.body
    assert [m.sid for m in await asyncio.to_thread(twilio.messages.list)] == [sent.sid]
    with pytest.raises(TwilioRestException) as caught:
        await asyncio.to_thread(twilio.messages("SM" + "0" * 32).fetch)
    assert (caught.value.status, caught.value.code) == (404, 20404)


@pytest.mark.parametrize(
    ("form", "status", "code"),
    [
        ({"token": "wrong"}, 401, 20003),
        ({"to": "+1"}, 400, 21211),
        ({"to": None}, 400, 21604),
        ({"from_": None}, 400, 21603),
        ({"body": None}, 400, 21602),
    ],
)
async def test_a_bad_request_gets_twilios_own_code(
    simulator: Running, inbox: Inbox, form: dict[str, Any], status: int, code: int
) -> None:
    with pytest.raises(TwilioRestException) as caught:
        await send(simulator.http_url, **form)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert await inbox.messages() == []
    assert await inbox.attempts() == [("sms", None, str(status))]


@pytest.mark.parametrize(("code", "status"), [(21211, 400), (21408, 400), (21610, 400), (21614, 400), (20003, 401)])
async def test_a_refusal_has_the_code_that_was_asked_for(
    simulator: Running, inbox: Inbox, code: int, status: int
) -> None:
    await inbox.fault("sms", "refuse", code=code)
    with pytest.raises(TwilioRestException) as caught:
        await send(simulator.http_url)
    assert (caught.value.status, caught.value.code) == (status, code)
    assert await inbox.attempts() == [("sms", "refuse", str(status))]


async def test_a_rate_limit_says_when_to_come_back(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("sms", "rate_limit", retry_after=7)
    url = f"{simulator.http_url}/2010-04-01/Accounts/{SID}/Messages.json"
    form = {"To": PHONE, "From": "+12025550123", "Body": "x"}
    answer = await asyncio.to_thread(requests.post, url, data=form, auth=(SID, "a token only for tests"), timeout=5)
    assert (answer.status_code, answer.headers["Retry-After"], answer.json()["code"]) == (429, "7", 20429)


@pytest.mark.parametrize(("mode", "arrived"), [("error", 0), ("error_after_accept", 1)])
async def test_a_server_error_may_come_after_the_message_arrived(
    simulator: Running, inbox: Inbox, mode: str, arrived: int
) -> None:
    await inbox.fault("sms", mode, status=503)
    with pytest.raises(TwilioRestException) as caught:
        await send(simulator.http_url)
    assert caught.value.status == 503
    assert [m["accepted"] for m in await inbox.messages()] == [False] * arrived


@pytest.mark.parametrize(("mode", "answered"), [("hang", "hang"), ("slow_drip", "slow"), ("reset", "cut")])
async def test_a_client_with_a_deadline_sees_no_answer(
    simulator: Running, inbox: Inbox, mode: str, answered: str
) -> None:
    await inbox.fault("sms", mode, seconds=4)
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        await send(simulator.http_url, timeout=0.2)
    assert await inbox.attempts() == [("sms", mode, answered)]


async def test_a_slow_drip_ends_in_the_whole_answer(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("sms", "slow_drip", seconds=0.5)
    started = time.monotonic()
    assert (await send(simulator.http_url)).status == "queued"
    assert time.monotonic() - started >= 0.5


async def test_receipts_are_signed_and_the_message_ends_delivered(simulator: Running, callbacks: Callbacks) -> None:
    sent = await send(simulator.http_url, status_callback=callbacks.url)
    await callbacks.reach(2)
    assert (callbacks.statuses, callbacks.valid) == (["sent", "delivered"], [True, True])
    assert {form["MessageSid"] for form in callbacks.forms} == {sent.sid}
    assert (await asyncio.to_thread(sent.fetch)).status == "delivered"


async def test_a_forged_receipt_is_refused_by_twilios_validator(
    simulator: Running, inbox: Inbox, callbacks: Callbacks
) -> None:
    await inbox.fault("sms", "forged_receipt")
    await send(simulator.http_url, status_callback=callbacks.url)
    await callbacks.reach(2)
    assert callbacks.valid == [False, False]


@pytest.mark.parametrize(
    ("mode", "statuses"),
    [
        ("undelivered", ["sent", "undelivered"]),
        ("double_receipt", ["sent", "delivered", "delivered"]),
        ("late_receipt", ["sent", "delivered"]),
    ],
)
async def test_receipts_follow_the_fault(
    simulator: Running, inbox: Inbox, callbacks: Callbacks, mode: str, statuses: list[str]
) -> None:
    await inbox.fault("sms", mode, seconds=0.3)
    started = time.monotonic()
    await send(simulator.http_url, status_callback=callbacks.url)
    await callbacks.reach(len(statuses))
    assert callbacks.statuses == statuses
    assert callbacks.forms[-1].get("ErrorCode") == ("30003" if mode == "undelivered" else None)
    assert mode != "late_receipt" or time.monotonic() - started >= 0.3


async def test_without_a_receipt_only_the_next_message_is_reported(
    simulator: Running, inbox: Inbox, callbacks: Callbacks
) -> None:
    await inbox.fault("sms", "no_receipt", times=1)
    silent = await send(simulator.http_url, status_callback=callbacks.url)
    told = await send(simulator.http_url, status_callback=callbacks.url, to=OTHER)
    await callbacks.reach(2)
    assert {form["MessageSid"] for form in callbacks.forms} == {told.sid} != {silent.sid}
