"""A session store that sleeps while the world goes on, and what it says when it wakes."""

import asyncio
import time
from contextlib import ExitStack
from typing import Any

from services.session_store.store import STORE
from tests.integration.gateway_login.world import eventually
from tests.integration.session_store.world import Made, Place, World, expire, length, revoked
from tests.races.conftest import Process, holding

LONG_ENOUGH = 2.5  # seconds; memory may be trusted for two
WAITING = "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND query ~ 'asked'"
ENDED = ("expired", "revoked", "too long", "asked before")


async def test_a_store_that_wakes_answers_nothing_from_its_memory_of_before(
    store_place: Place, near: World, far: Process
) -> None:
    """Its first answers: the questions lie in its sockets while it sleeps, one is half answered when it falls asleep.

    Postgres does not help it either: a writer that slept has not written what happened meanwhile.
    """
    made = {what: await near.open(days_old=40) for what in (*ENDED, "alive")}
    await asyncio.gather(*(far.world.becomes(made[what], True) for what in made if what != "asked before"))
    await known(near, made["asked before"])
    async with holding(store_place.dsn, "LOCK TABLE sessions IN ACCESS EXCLUSIVE MODE"):
        half = asyncio.create_task(far.world.active(made["asked before"]))
        await eventually(lambda: near.app[STORE].pool.fetchval(WAITING))
        sleep = ExitStack()
        sleep.enter_context(far.asleep())
    with sleep:
        asked = await while_it_sleeps(near, far, made)
    answers = {what: await answer for what, answer in (asked | {"asked before": half}).items()}
    assert {answers[what] for what in ENDED} <= {False, 503}, answers
    assert answers["alive"] in (True, 503)
    await far.world.becomes(made["alive"], True)
    assert [await far.world.active(made[what]) for what in ENDED] == [False] * 4


async def known(near: World, made: Made) -> None:
    """In Postgres, whichever writer it was."""
    await eventually(lambda: near.stored(made))


async def while_it_sleeps(near: World, far: Process, made: dict[str, Made]) -> dict[str, asyncio.Task[Any]]:
    woken_at = time.monotonic() + LONG_ENOUGH
    ends = {
        "expired": expire(made["expired"], "user"),
        "revoked": revoked(made["revoked"]),
        "too long": length(made["too long"], 30),
        "asked before": expire(made["asked before"], "account"),
    }
    for what, event in ends.items():
        await near.publish(event)
        await near.becomes(made[what], False)
    asked = {what: asyncio.create_task(far.world.active(each)) for what, each in made.items() if what != "asked before"}
    await asyncio.sleep(woken_at - time.monotonic())
    return asked
