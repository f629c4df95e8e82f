"""Copies of a challenge that name a contacts key nobody has: they cannot be checked, and stand in nobody's way."""

import base64
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import msgspec
import pytest
import pytest_asyncio

from deploy.local.stack import Stack
from schemas import topics
from schemas.events import LoginChallenged
from services.delivery.house import House
from services.platform.clock import new_id
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until

FAR = datetime(9000, 1, 1, tzinfo=UTC)


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def house(stack: Stack) -> AsyncIterator[House]:
    async with own_house(stack) as made, sweeping(made):
        yield made


def copied(event: LoginChallenged, **changes: Any) -> LoginChallenged:
    """The same event under a key id that no ring holds."""
    raw = bytearray(base64.urlsafe_b64decode(event.sealed))
    raw[1] = 200
    return msgspec.structs.replace(event, sealed=base64.urlsafe_b64encode(raw).decode(), **changes)


async def rows(house: House, login: Login) -> list[tuple[str, str, str]]:
    found = await house.pool.fetch("SELECT channel, cause, state FROM deliveries WHERE login_id = $1", login.login_id)
    return sorted(tuple(row) for row in found)


@pytest.mark.parametrize(
    ("reason", "changes"),
    [
        ("life-too-long", {"expires_at": FAR}),
        ("invalid", {"cause": "fallback:login", "channels": ("email",)}),
        ("invalid", {"cause": "replay:r1"}),
        ("invalid", {"cause": "resend:0"}),
        ("invalid", {"cause": "login "}),
    ],
)
async def test_what_no_gateway_would_ask_for_is_a_dead_letter(
    world: World, house: House, reason: str, changes: dict[str, Any]
):
    login = Login()
    event = world.challenge(login)
    await house.ingest.challenges([record(copied(event, **changes))])
    await world.letter(reason, event.time, topics.LOGIN_CHALLENGES.name)
    assert await rows(house, login) == []


async def test_a_notice_that_would_live_for_years_is_a_dead_letter(world: World, house: House):
    notice = world.notice(Login(seconds=3 * 86400), "sms", "locked")
    await house.ingest.challenges([record(notice)])
    await world.letter("life-too-long", notice.time, topics.LOGIN_CHALLENGES.name)


async def test_a_copy_keeps_neither_the_code_nor_the_fallback_nor_the_resend_back(world: World, house: House):
    login = Login()
    first, again = world.challenge(login), world.challenge(login, cause="resend:1")
    copies = [copied(first), copied(again), copied(first, channels=("email",), cause="resend:1")]
    await house.ingest.challenges([record(copy, n) for n, copy in enumerate(copies)])
    await until(lambda: looked_at(house, login), 10, "looks at the copies")
    await world.faults(sms={str(login.phone): {"mode": "refuse"}})
    await house.ingest.challenges([record(first, 3)])
    assert world.code(login, "email") in await world.message(login.email)
    await world.faults()
    await house.ingest.challenges([record(again, 4)])
    assert (await world.message(login.phone)).endswith(world.code(login, "sms"))


async def ended(house: House, login: Login) -> Any:
    return await rows(house, login) == [("sms", "login", "sent")] or None


async def looked_at(house: House, login: Login) -> Any:
    query = "SELECT count(*) FROM delivery_log WHERE login_id = $1 AND reason = 'key-unknown'"
    return await house.pool.fetchval(query, login.login_id) >= 3 or None


@pytest.mark.parametrize("together", [False, True])
@pytest.mark.parametrize("order", [1, -1])
async def test_whose_a_login_is_says_the_challenge_that_opens(world: World, house: House, together: bool, order: int):
    login = Login()
    event = world.challenge(login)
    copy = copied(event, account_id=str(new_id()), user_id=str(new_id()), account_epoch=1, user_epoch=1)
    records = [record(event, 0), record(copy, 1)][::order]
    for batch in [records] if together else [[one] for one in records]:
        await house.ingest.challenges(batch)
    await world.message(login.phone)
    query = "SELECT account_id, user_id, account_epoch, user_epoch FROM {} WHERE login_id = $1"
    known = await house.pool.fetchrow(query.format("logins"), login.login_id)
    assert tuple(known or ()) == (login.account, login.user, 1000, 1000)
    row = await house.pool.fetchrow("SELECT account_id, user_id FROM deliveries WHERE login_id = $1", login.login_id)
    assert tuple(row or ()) == (login.account, login.user)


async def test_a_challenge_that_opens_is_sent_once_however_often_it_comes(world: World, house: House):
    login = Login()
    event = world.challenge(login)
    await house.ingest.challenges([record(copied(event))])
    for n in range(3):
        await house.ingest.challenges([record(event, n), record(event, n)])
    await world.message(login.phone)
    await until(lambda: ended(house, login), 15, "sent")
    await house.ingest.challenges([record(event), record(copied(event), 1)])
    assert await rows(house, login) == [("sms", "login", "sent")]
    assert len(await world.messages(login.phone)) == 1
