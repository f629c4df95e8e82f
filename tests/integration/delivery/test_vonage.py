"""Codes by Vonage, from the challenge to the signed status webhook."""

import json
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from deploy.simulator.vonage import webhook_jwt
from services.delivery.house import House
from services.delivery.routes.parts import PARTS
from services.platform import metrics
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house, record
from tests.integration.delivery.vonage_house import vonage_house
from tests.integration.delivery.world import Login, World, until
from tests.integration.simulator.drivers import Inbox
from tests.integration.simulator.vonage_driver import API_KEY, APPLICATION, SECRET

Row = dict[str, Any]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def made(stack: Stack) -> AsyncIterator[tuple[House, Inbox]]:
    async with vonage_house(stack) as both:
        yield both


@pytest_asyncio.fixture
async def house(made: tuple[House, Inbox]) -> House:
    return made[0]


@pytest_asyncio.fixture
async def inbox(made: tuple[House, Inbox]) -> AsyncIterator[Inbox]:
    yield made[1]
    await made[1].put({"sms": {}, "email": {}})


async def opened(house: House, world: World, login: Login) -> Login:
    await house.ingest.challenges([record(world.challenge(login))])
    return login


async def row(house: House, login: Login, channel: str, state: str) -> Row:
    async def there() -> Row | None:
        query = "SELECT * FROM deliveries WHERE login_id = $1 AND channel = $2 AND state = $3"
        found = await house.pool.fetchrow(query, login.login_id, channel, state)
        return dict(found) if found else None

    found: Row = await until(there, 15, f"{channel} {state}")
    return found


async def steps(house: House, login: Login) -> list[str]:
    query = "SELECT what FROM delivery_log WHERE login_id = $1 AND channel = 'sms' ORDER BY id"
    return [step["what"] for step in await house.pool.fetch(query, login.login_id)]


async def posted(house: House, said: Row, secret: str = SECRET) -> int:
    body = json.dumps(said).encode()
    headers = {"Authorization": f"Bearer {webhook_jwt(body, API_KEY, APPLICATION, secret)}"}
    headers["Content-Type"] = "application/json"
    url = house.settings.receipts_at("vonage")
    async with aiohttp.ClientSession() as http, http.post(url, data=body, headers=headers) as answer:
        return answer.status


def token(house: House, login: Login, of: Row) -> str:
    return house.site[PARTS].secrets.receipts.make(login.login_id, of["id"])


async def test_a_code_goes_out_and_a_signed_webhook_says_that_it_arrived(house: House, world: World, inbox: Inbox):
    login = await opened(house, world, Login())
    found = await row(house, login, "sms", "delivered")
    [message] = await inbox.messages(to=str(login.phone))
    assert message["code"] == world.code(login, "sms")
    assert (found["provider"], found["tries"], len(found["provider_ref"])) == ("vonage", 1, 36)
    assert await steps(house, login) == ["queued", "sent", "delivered"]


async def test_a_rejected_sms_becomes_an_email_and_names_vonages_code(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "undelivered", to=str(login.phone))
    await opened(house, world, login)
    assert (await row(house, login, "sms", "undelivered"))["reason"] == "unreachable:1180"
    await row(house, login, "email", "sent")


async def test_a_refused_sms_becomes_an_email(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "refuse", to=str(login.phone), code=1240)
    await opened(house, world, login)
    assert (await row(house, login, "sms", "failed"))["reason"] == "opted-out:1240"
    await row(house, login, "email", "sent")


async def test_an_sms_that_was_taken_and_answered_500_is_one_sms_and_one_email(
    house: House, world: World, inbox: Inbox
):
    login = Login()
    await inbox.fault("sms", "error_after_accept", to=str(login.phone))
    await opened(house, world, login)
    await row(house, login, "email", "sent")
    assert (await row(house, login, "sms", "unknown"))["reason"] == "provider-error:1030"
    assert len(await inbox.messages(to=str(login.phone))) == len(await inbox.messages(to=str(login.email))) == 1


async def test_a_receipt_that_overtakes_a_silent_provider_still_counts(house: House, world: World, inbox: Inbox):
    """The provider has it and says so, and never answers the call."""
    login = Login()
    await inbox.fault("sms", "slow_drip", to=str(login.phone), seconds=30)
    await opened(house, world, login)
    found = await row(house, login, "sms", "delivered")
    assert found["provider"] == "vonage"
    assert (await steps(house, login))[:2] == ["queued", "delivered"]
    await until(lambda: _late(house, login), 15, "the late result")
    assert await inbox.messages(to=str(login.email)) == []


async def _late(house: House, login: Login) -> bool | None:
    return (await steps(house, login))[-1] == "late_result" or None


async def test_late_doubled_unknown_and_foreign_receipts_are_harmless(house: House, world: World, inbox: Inbox):
    login = await opened(house, world, Login())
    found = await row(house, login, "sms", "delivered")
    ours, nobody = token(house, login, found), house.site[PARTS].secrets.receipts.make(new_id(), new_id())
    for said in (
        {"status": "delivered", "client_ref": ours},
        {"status": "rejected", "client_ref": ours},
        {"status": "submitted", "client_ref": ours},
        {"status": "delivered", "client_ref": nobody},
        {"status": "rejected", "client_ref": "an order of another application"},
        {"status": "rejected"},
        {"text": "an inbound message"},
    ):
        assert await posted(house, said) == 204
    assert await steps(house, login) == ["queued", "sent", "delivered"]


async def test_forged_receipts_are_refused_counted_and_change_nothing(house: House, world: World, inbox: Inbox):
    login = Login()
    await inbox.fault("sms", "forged_receipt", to=str(login.phone))
    before = metrics.FORGED.labels("receipt")._value.get()
    await opened(house, world, login)
    found = await row(house, login, "sms", "sent")
    await until(lambda: _counted(before + 2), 15, "two forged receipts")
    ours = token(house, login, found)
    altered = ours[:-1] + ("A" if ours[-1] != "A" else "B")
    assert (
        await posted(house, {"status": "rejected", "client_ref": ours}, secret="another secret, as long as a real one")
        == 403
    )
    assert await posted(house, {"status": "rejected", "client_ref": altered}) == 403
    assert await posted(house, {"status": "rejected", "client_ref": "rc_"}) == 403
    assert metrics.FORGED.labels("receipt")._value.get() == before + 5
    assert await steps(house, login) == ["queued", "sent"]


async def _counted(count: float) -> bool | None:
    return metrics.FORGED.labels("receipt")._value.get() >= count or None


async def test_a_failure_of_another_provider_is_not_this_submissions(house: House, world: World, inbox: Inbox):
    """It went out by another provider since: only that one can say that it failed."""
    login = Login()
    await inbox.fault("sms", "no_receipt", to=str(login.phone))
    await opened(house, world, login)
    found = await row(house, login, "sms", "sent")
    await house.pool.execute("UPDATE deliveries SET provider = 'twilio' WHERE id = $1", found["id"])
    ours = token(house, login, found)
    assert await posted(house, {"status": "rejected", "client_ref": ours}) == 204
    assert await steps(house, login) == ["queued", "sent"]
    assert await posted(house, {"status": "delivered", "client_ref": ours}) == 204
    assert await steps(house, login) == ["queued", "sent", "delivered"]


async def test_both_sms_providers_are_rows_of_providers(stack: Stack):
    async with vonage_house(stack, twilio=True) as (both, _):
        found = [(one.name, one.channel, one.enabled) for one in await both.controls.providers()]
    assert sorted(found) == [("smtp", "email", True), ("twilio", "sms", True), ("vonage", "sms", True)]


async def test_what_one_provider_is_too_busy_for_goes_out_by_the_other(stack: Stack, world: World):
    login = Login()
    async with vonage_house(stack, twilio=True) as (house, inbox):
        await inbox.fault("sms", "rate_limit", to="twilio:*")
        await opened(house, world, login)
        found = await row(house, login, "sms", "delivered")
        assert (found["provider"], found["tries"]) == ("vonage", 2)
        assert await steps(house, login) == ["queued", "queued", "sent", "delivered"]
        [message] = await inbox.messages(to=str(login.phone))
    assert (message["provider"], message["code"]) == ("vonage", world.code(login, "sms"))


async def test_without_vonage_its_receipts_have_no_address(stack: Stack):
    async with own_house(stack) as house:
        assert list(house.site[PARTS].readers) == ["twilio"]


@pytest.mark.parametrize("size", [70_000])
async def test_a_receipt_over_the_limit_is_refused_by_its_size(house: House, size: int):
    assert await posted(house, {"text": "x" * size}) == 413
