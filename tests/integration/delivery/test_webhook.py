"""Codes by webhooks: from the challenge to the signed receipt; one message for one ambiguity."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import aiohttp
import pytest
import pytest_asyncio
from standardwebhooks import Webhook

from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.webhooks import NAMES, file_for
from deploy.simulator.server import Settings, running
from deploy.simulator.webhook import signed
from services.delivery.house import House
from services.delivery.routes.parts import PARTS
from services.platform import metrics
from tests.integration.delivery.house import listening, own_house, sweeping
from tests.integration.delivery.test_vonage import opened, row, steps
from tests.integration.delivery.world import Login, World, until
from tests.integration.simulator.drivers import SID, TOKEN, Inbox
from tests.integration.simulator.webhook_driver import RECEIPTS_SECRET, SECRET, WEBHOOK


@asynccontextmanager
async def webhook_house(stack: Stack, folder: Path) -> AsyncIterator[tuple[House, Inbox]]:
    """SMS and e-mail by webhooks only; swept, its receipts' address open; and the inbox of its gateway."""
    port = free_ports().delivery
    async with running(Settings(SID, TOKEN, webhook=WEBHOOK)) as simulator:
        for name, secret in (("secret", SECRET), ("receipts", RECEIPTS_SECRET)):
            (folder / name).write_text(secret)
        for channel, name in NAMES.items():
            text = file_for(channel, simulator.http_url, "secret", "receipts", "codes@gatepost.example")
            (folder / f"{name}.toml").write_text(text)
        settings = {
            "twilio_account_sid": None,
            "smtp_host": None,
            "webhooks": folder,
            "receipts_url": f"http://127.0.0.1:{port}",
        }
        async with own_house(stack, **settings) as house, aiohttp.ClientSession(simulator.http_url) as session:
            serving = await listening(house, port)
            try:
                async with sweeping(house):
                    yield house, Inbox(session)
            finally:
                await serving.stop()


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[tuple[House, Inbox]]:
    async with webhook_house(stack, tmp_path_factory.mktemp("webhooks")) as both:
        yield both


@pytest_asyncio.fixture
async def house(made: tuple[House, Inbox]) -> House:
    return made[0]


@pytest_asyncio.fixture
async def inbox(made: tuple[House, Inbox]) -> AsyncIterator[Inbox]:
    yield made[1]
    await made[1].put({"sms": {}, "email": {}})


async def posted(house: House, said: dict[str, Any], secret: str = RECEIPTS_SECRET, **headers: str) -> int:
    body = json.dumps({"data": said})
    url = house.settings.receipts_at("webhook")
    given = signed(Webhook(secret), body) | {"Content-Type": "application/json"} | headers
    async with aiohttp.ClientSession() as session, session.post(url, data=body.encode(), headers=given) as answer:
        return answer.status


async def test_a_code_goes_out_and_a_signed_receipt_says_that_it_arrived(house: House, world: World, inbox: Inbox):
    login = await opened(house, world, Login())
    found = await row(house, login, "sms", "delivered")
    [message] = await inbox.messages(to=str(login.phone))
    assert message["code"] == world.code(login, "sms")
    assert (found["provider"], found["tries"], len(found["provider_ref"])) == ("webhook", 1, 36)
    assert await steps(house, login) == ["queued", "sent", "delivered"]


async def test_an_undelivered_sms_becomes_an_email_by_the_other_webhook(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "undelivered", to=str(login.phone))
    await opened(house, world, login)
    assert (await row(house, login, "sms", "undelivered"))["reason"] == "unreachable:2001"
    found = await row(house, login, "email", "sent")
    [mail] = await inbox.messages(to=str(login.email))
    assert (found["provider"], mail["code"]) == ("webhook-email", world.code(login, "email"))
    assert str(mail["code"]) in mail["html"]


async def test_a_refusal_has_the_reason_of_the_files_rule(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "refuse", to=str(login.phone))
    await opened(house, world, login)
    assert (await row(house, login, "sms", "failed"))["reason"] == "invalid-number:1001"
    await row(house, login, "email", "sent")


async def test_an_email_in_doubt_is_asked_again_with_the_same_key_and_arrives_once(
    house: House, world: World, inbox: Inbox
):
    login = Login()
    await inbox.put(
        {
            "sms": {str(login.phone): {"mode": "refuse"}},
            "email": {str(login.email): {"mode": "error_after_accept", "times": 1}},
        }
    )
    await opened(house, world, login)
    found = await row(house, login, "email", "sent")
    assert found["tries"] == 2
    assert len(await inbox.messages(to=str(login.email))) == 1
    async with inbox.http.get("/attempts") as answer:
        tried = [one for one in (await answer.json())["attempts"] if one["to"] == str(login.email)]
    assert [(one["mode"], one["answered"]) for one in tried] == [("error_after_accept", "500"), ("repeated", "202")]


async def test_forged_old_and_foreign_receipts_change_nothing(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "no_receipt", to=str(login.phone))
    await opened(house, world, login)
    found = await row(house, login, "sms", "sent")
    ours = house.site[PARTS].secrets.receipts.make(login.login_id, found["id"])
    said = {"status": "undelivered", "reference": ours}
    before = metrics.FORGED.labels("receipt")._value.get()
    assert await posted(house, said, SECRET) == 403
    assert await posted(house, said, **{"webhook-id": "another"}) == 403
    assert await posted(house, said, **{"webhook-timestamp": "1"}) == 403
    altered = ours[:-2] + ("AA" if not ours.endswith("AA") else "BA")
    assert await posted(house, said | {"reference": altered}) == 403
    assert metrics.FORGED.labels("receipt")._value.get() == before + 4
    for harmless in ({"status": "sent", "reference": ours}, {"status": "undelivered", "reference": "theirs"}, {}):
        assert await posted(house, harmless) == 204
    assert await steps(house, login) == ["queued", "sent"]
    assert await posted(house, said | {"status": "delivered"}) == 204
    await until(lambda: _ended(house, login), 5, "delivered")


async def _ended(house: House, login: Login) -> bool | None:
    return (await steps(house, login))[-1] == "delivered" or None


async def test_only_who_is_to_give_receipts_has_an_address_for_them(house: House):
    assert list(house.site[PARTS].readers) == ["webhook"]
