"""Vonage's Messages API, driven by Vonage's own package."""

import time
from pathlib import Path
from typing import Any, cast
from uuid import UUID

import aiohttp
import pytest
import requests
from vonage_http_client.errors import AuthenticationError, HttpRequestError, RateLimitedError, ServerError

from deploy.local.environment import Environment
from deploy.local.ports import Ports
from deploy.simulator.server import BadSettings, Running, Settings
from services.delivery.settings import DeliverySettings, revealed
from services.platform.settings import load
from tests.integration.simulator.drivers import OTHER, PHONE, Inbox
from tests.integration.simulator.vonage_driver import KEY, Statuses, foreign_key, pem, send, vonage


async def test_a_message_is_taken_and_stands_in_the_inbox(simulator: Running, inbox: Inbox) -> None:
    UUID(await send(simulator.http_url, client_ref="ours"))
    [found] = await inbox.messages(to=PHONE, channel="sms")
    assert (found["code"], found["accepted"], found["from"]) == ("123456", True, "Gatepost")
    async with inbox.http.get("/attempts") as answer:
        assert [(a["answered"], a["ref"]) for a in (await answer.json())["attempts"]] == [("202", "ours")]


@pytest.mark.parametrize("given", [{"key": foreign_key()}, {"application": "another"}])
async def test_a_foreign_key_or_application_is_not_let_in(
    simulator: Running, inbox: Inbox, given: dict[str, Any]
) -> None:
    with pytest.raises(AuthenticationError):
        await send(simulator.http_url, vonage(simulator.http_url, **given))
    assert await inbox.messages() == []
    assert await inbox.attempts() == [("sms", None, "401")]


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x.y.z", "Basic YTpi"])
async def test_nobody_is_let_in_without_a_token(simulator: Running, authorization: str) -> None:
    headers = {"Authorization": authorization}
    async with aiohttp.ClientSession() as http, http.post(f"{simulator.http_url}/v1/messages", headers=headers) as told:
        assert (told.status, (await told.json())["type"].partition("#")[2]) == (401, "unauthorized")


@pytest.mark.parametrize(("form", "code"), [({"to": "1000000"}, "1020"), ({"text": ""}, "1010")])
async def test_a_bad_request_gets_vonages_own_code(simulator: Running, form: dict[str, Any], code: str) -> None:
    client = vonage(simulator.http_url)
    with pytest.raises(HttpRequestError) as caught:
        await send(simulator.http_url, client, **form)
    assert caught.value.response.json()["type"].endswith(f"messages#{code}")


@pytest.mark.parametrize(("code", "status"), [(1120, 422), (1170, 422), (1000, 429)])
async def test_a_refusal_has_the_code_that_was_asked_for(
    simulator: Running, inbox: Inbox, code: int, status: int
) -> None:
    await inbox.fault("sms", "refuse", code=code)
    with pytest.raises(HttpRequestError) as caught:
        await send(simulator.http_url)
    assert caught.value.response.json()["type"].endswith(f"/messages#{code}")
    assert await inbox.attempts() == [("sms", "refuse", str(status))]


async def test_a_rate_limit_says_when_to_come_back(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("sms", "rate_limit", retry_after=7)
    with pytest.raises(RateLimitedError) as caught:
        await send(simulator.http_url)
    assert caught.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize(("mode", "arrived"), [("error", 0), ("error_after_accept", 1)])
async def test_a_server_error_may_come_after_the_message_arrived(
    simulator: Running, inbox: Inbox, mode: str, arrived: int
) -> None:
    await inbox.fault("sms", mode)
    with pytest.raises(ServerError):
        await send(simulator.http_url)
    assert [m["accepted"] for m in await inbox.messages()] == [False] * arrived


@pytest.mark.parametrize(("mode", "answered"), [("hang", "hang"), ("slow_drip", "slow"), ("reset", "cut")])
async def test_a_client_with_a_deadline_sees_no_answer(
    simulator: Running, inbox: Inbox, mode: str, answered: str
) -> None:
    await inbox.fault("sms", mode, seconds=40)
    with pytest.raises((requests.ConnectionError, requests.Timeout)):
        await send(simulator.http_url, vonage(simulator.http_url, timeout=1))
    assert await inbox.attempts() == [("sms", mode, answered)]


async def test_statuses_are_signed_name_the_sender_s_reference_and_end_delivered(
    simulator: Running, statuses: Statuses
) -> None:
    uuid = await send(simulator.http_url, webhook_url=statuses.url, client_ref="ours")
    await statuses.reach(2)
    assert [said["status"] for said in statuses.said] == ["submitted", "delivered"]
    assert {(said["message_uuid"], said["client_ref"]) for said in statuses.said} == {(uuid, "ours")}
    assert statuses.valid == [(True, True)] * 2


async def test_a_forged_status_is_refused_by_vonages_package(
    simulator: Running, inbox: Inbox, statuses: Statuses
) -> None:
    await inbox.fault("sms", "forged_receipt")
    await send(simulator.http_url, webhook_url=statuses.url)
    await statuses.reach(2)
    assert [valid for valid, _ in statuses.valid] == [False, False]


@pytest.mark.parametrize(
    ("mode", "told"),
    [
        ("undelivered", ["submitted", "rejected"]),
        ("double_receipt", ["submitted", "delivered", "delivered"]),
        ("late_receipt", ["submitted", "delivered"]),
    ],
)
async def test_statuses_follow_the_fault(
    simulator: Running, inbox: Inbox, statuses: Statuses, mode: str, told: list[str]
) -> None:
    await inbox.fault("sms", mode, seconds=0.3)
    started = time.monotonic()
    await send(simulator.http_url, webhook_url=statuses.url)
    await statuses.reach(len(told))
    assert [said["status"] for said in statuses.said] == told
    assert statuses.said[-1].get("error", {}).get("title") == ("1180" if mode == "undelivered" else None)
    assert mode != "late_receipt" or time.monotonic() - started >= 0.3


async def test_without_a_receipt_only_the_next_message_is_reported(
    simulator: Running, inbox: Inbox, statuses: Statuses
) -> None:
    await inbox.fault("sms", "no_receipt", times=1)
    silent = await send(simulator.http_url, webhook_url=statuses.url)
    told = await send(simulator.http_url, webhook_url=statuses.url, to=OTHER.removeprefix("+"))
    await statuses.reach(2)
    assert {said["message_uuid"] for said in statuses.said} == {told} != {silent}


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"PUBLIC_KEY": "no key"}, "VONAGE_PUBLIC_KEY"),
        ({"PUBLIC_KEY": pem(KEY)}, "VONAGE_PUBLIC_KEY"),
        ({}, "PUBLIC_KEY"),
    ],
)
def test_a_half_given_application_stops_the_start(
    monkeypatch: pytest.MonkeyPatch, given: dict[str, str], named: str
) -> None:
    usual = {"TWILIO_SID": "AC1", "TWILIO_TOKEN": "t", "VONAGE_APPLICATION_ID": "a"}
    for name, value in (usual | {f"VONAGE_{name}": value for name, value in given.items()}).items():
        monkeypatch.setenv(f"GATEPOST_SIM_{name}", value)
    with pytest.raises(BadSettings, match=named):
        Settings.from_environment()


def test_the_local_system_tells_both_sides_of_the_same_application(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("GATEPOST_LOCAL_SMS", "vonage")
    local = Environment(tmp_path, Ports(), cast(Any, None))  # no database is needed to tell providers
    kept = local.of_simulator()
    assert local.of_simulator() == kept, "a second start finds what the first one made"
    for name, value in kept.items():
        monkeypatch.setenv(name, value)
    told = {"GATEPOST_KAFKA": "127.0.0.1:9092", "GATEPOST_DATABASE": "postgresql://d@127.0.0.1/d", "GATEPOST_KEYS": "."}
    for name, value in (told | local.providers()).items():
        monkeypatch.setenv(name, value)
    simulated, settings = Settings.from_environment().vonage, load(DeliverySettings)
    assert simulated is not None
    assert settings.vonage_rsa_key().public_key() == simulated.public_key
    told_both = (settings.vonage_application_id, settings.vonage_api_key, revealed(settings.vonage_signature_secret))
    assert told_both == (simulated.application_id, simulated.api_key, simulated.signature_secret)
    assert settings.twilio_account_sid is None
