"""Guessing at two gateways at once: the counts are the database's, not a process's."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from itertools import cycle
from typing import Any

import pytest_asyncio

from schemas.events import LoginClosed, Verified
from tests.integration.gateway_login.world import Answer, Desk, Heard, Place, opened, wrong

MANY = {"logins_per_hour": 100, "sends_per_hour": 100, "sends_per_day": 100, "wrong_passwords_user_15min": 100}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def gateways(place: Place, heard: Heard) -> AsyncIterator[tuple[Desk, Desk]]:
    busy = place.but(**MANY)
    async with opened(busy, heard) as one, opened(busy, heard) as other:
        yield one, other


async def verified_by_turns(gateways: tuple[Desk, Desk], tries: list[tuple[dict[str, Any], str]]) -> list[Answer]:
    return await asyncio.gather(
        *(desk.verify(login, code) for desk, (login, code) in zip(cycle(gateways), tries, strict=False))
    )


async def test_two_hundred_wrong_codes_at_two_gateways_are_five_tries(gateways: tuple[Desk, Desk]) -> None:
    desk = gateways[0]
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    answers = await verified_by_turns(gateways, [(login, wrong(code, n)) for n in range(1, 201)])
    assert Counter(answer.status for answer in answers) == {401: 4, 410: 196}
    assert (await desk.guard(who))["wrong"] == 5
    await desk.heard.one(LoginClosed, login_id=login["login_id"])


async def test_two_hundred_right_codes_at_two_gateways_open_one_session(gateways: tuple[Desk, Desk]) -> None:
    desk = gateways[0]
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    answers = await verified_by_turns(gateways, [(login, code)] * 200)
    assert Counter(answer.status for answer in answers) == {200: 1, 410: 199}
    await desk.verified(login)
    assert len(desk.heard.all(Verified, login_id=login["login_id"])) == 1


async def test_right_codes_among_wrong_ones_open_one_session_or_none_and_each_try_is_counted(
    gateways: tuple[Desk, Desk],
) -> None:
    desk = gateways[0]
    for lead in (0, 2, 40):
        who = await desk.member()
        login = await desk.challenged(who)
        code = await desk.heard.code(login)
        tries = [(login, wrong(code, n)) for n in range(1, lead + 1)]
        tries += [(login, wrong(code, n) if n % 4 else code) for n in range(100)]
        found = Counter(answer.status for answer in await verified_by_turns(gateways, tries))
        assert found[200] + found[401] + found[410] == len(tries), found
        row = await desk.pool.fetchrow(
            "SELECT state, attempts FROM logins WHERE login_id = $1::text::uuid", login["login_id"]
        )
        assert (found[200], row["state"]) in ((1, "verified"), (0, "closed"))
        assert row["attempts"] == found[401] + 1 <= 5
        assert (await desk.guard(who))["wrong"] == found[401] + (1 - found[200])
        ended: type = Verified if found[200] else LoginClosed
        await desk.heard.one(ended, login_id=login["login_id"])
        assert len(desk.heard.all(Verified, login_id=login["login_id"])) == found[200]


async def test_forty_logins_of_a_user_guessed_at_two_gateways_are_ten_tries(gateways: tuple[Desk, Desk]) -> None:
    desk = gateways[0]
    who = await desk.member()
    logins = await asyncio.gather(*(each.challenged(who) for each, _ in zip(cycle(gateways), range(40), strict=False)))
    codes = await asyncio.gather(*(desk.heard.code(login) for login in logins))
    tries = [(login, wrong(code, n)) for n in range(1, 5) for login, code in zip(logins, codes, strict=True)]
    answers = await verified_by_turns(gateways, tries)
    assert Counter(answer.status for answer in answers) == {401: 10, 429: 150}
    assert (await desk.guard(who))["wrong"] == 10
