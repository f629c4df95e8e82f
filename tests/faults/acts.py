"""What breaks. Each fault is a function that returns at its end."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, Final
from uuid import uuid4

import aiohttp
import asyncpg

from deploy.local.processes import Child
from deploy.local.stack import SERVICES
from schemas import topics
from services.platform.kafka import Connection, Producer
from tests.faults.checker import REACHES_EVERYBODY
from tests.faults.load import SMS, Visit, introspect
from tests.faults.recorder import rows
from tests.faults.run import Fault
from tests.faults.site import does_its_work
from tests.faults.town import HASTY_SECONDS, Person, Town
from tests.feeding import Writer, items, producing

REACHED_SECONDS: Final = 60.0  # a wait ends as soon as it can; the machine may be busy
SESSION_TIMEOUT: Final = 10.0  # what every consumer of a group asks for
PARKED: Final = "SELECT count(*) FROM outbox WHERE parked IS NOT NULL AND id = ANY($1::uuid[])"
QUEUED: Final = "SELECT count(*) FROM deliveries WHERE account_id = ANY($1::uuid[]) AND state = 'queued'"
OPENED: Final = "SELECT count(*) FROM logins WHERE reference = ANY($1::text[])"
FED: Final = 40
POISON: Final = 1_048_500
BACKENDS: Final = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE 'gatepost-%'"
TOO_LARGE: Final = """
INSERT INTO outbox (id, topic, key, value, headers, due_at) VALUES ($1, $2, $3, $4, '{}', now())
"""


async def until(holds: Callable[[], Any], what: str, seconds: float = REACHED_SECONDS) -> None:
    deadline = time.monotonic() + seconds
    while True:
        found = holds()
        asked = isinstance(found, Awaitable)
        if await found if asked else found:
            return
        if time.monotonic() > deadline:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        await asyncio.sleep(0.15 if asked else 0.02)


def killed_at(point: str) -> Fault:
    """The process comes by that point and is gone."""

    async def act(town: Town) -> None:
        child, marker = town.site.stack.child(point.partition(".")[0]), town.site.markers / point
        before = child.restarts
        marker.touch()
        try:
            await until(lambda: not marker.exists(), f"nobody came by {point}")
            await until(lambda: child.restarts > before, f"{point} killed nobody")
        finally:
            marker.unlink(missing_ok=True)

    return Fault(f"kill -9 at {point}", act)


async def killed_before_it_follows(town: Town) -> None:
    """The session store dies, and once more between its snapshot and its first record."""
    point, child = "session-store.before-follow", town.site.stack.child("session-store")
    await until(lambda: does_its_work(child), "the store is not ready")
    before, marker = child.restarts, town.site.markers / point
    marker.touch()
    await signalled(child, signal.SIGKILL)
    await until(lambda: child.restarts > before + 1, "the new store did not come by its start")


async def killed_with_a_backlog(town: Town) -> None:
    """The provider is slow, more waits than there are slots, and the worker dies."""
    query = "SELECT count(*) FILTER (WHERE state = 'sending') AS taken, count(*) FILTER (WHERE state = 'queued') AS"
    query += " waiting FROM deliveries WHERE account_id = ANY($1::uuid[])"
    await town.faults(sms={"mode": "slow_drip", "seconds": 3}, email={"mode": "smtp_4xx", "times": 5})

    async def is_full() -> bool:
        row = (await rows(town.site.stack, "delivery", query, town.record.accounts))[0]
        of_one_provider = town.site.slots * 3 // 4
        return bool(row["taken"] >= of_one_provider and row["waiting"] > 0)

    await until(is_full, "no backlog came about")
    await signalled(town.site.stack.child("delivery"), signal.SIGKILL)
    await town.faults()


def sent(service: str, number: signal.Signals) -> Fault:
    """SIGTERM is a clean stop: what was under way is finished, and the exit code says so.

    A server's fault lasts until it is back; a service is what is to heal.
    """

    async def act(town: Town) -> None:
        child = town.site.stack.child(service)
        await signalled(child, number)
        if service not in SERVICES:
            await until(lambda: does_its_work(child), f"{service} is not back", 120)
        elif number is signal.SIGTERM:
            assert child.ended_with == 0, f"{service} ended with {child.ended_with}"

    return Fault(f"{number.name} to {service}", act)


async def signalled(child: Child, number: signal.Signals) -> None:
    """Once it does its work; until it is gone and its supervisor has started another."""
    await until(lambda: does_its_work(child), f"{child.program.name} is not ready")
    before = child.restarts
    assert child.pid is not None, f"{child.program.name} does not run"
    os.kill(child.pid, number)
    await until(lambda: child.restarts > before, f"{child.program.name} did not end")


async def store_frozen(town: Town) -> None:
    """A floor is raised while the store sleeps; what was asked meanwhile is what it answers first when it wakes."""
    (person,) = await town.people(town.account, [{}])
    visit, child = Visit(town, person, time.monotonic() + 60), town.site.stack.child("session-store")
    await until(lambda: does_its_work(child), "the store is not ready")
    await visit.is_active(done := await visit.sign_in())
    with frozen(child):
        await visit.expire()
        await asyncio.sleep(REACHES_EVERYBODY + 0.5)  # the fault is its length
        token, login_id = str(done.body["token"]), str(done.login_id)
        asked = [asyncio.create_task(introspect(town, token, login_id)) for _ in range(20)]
        await asyncio.sleep(0.3)  # they are on their way
    assert any(answer.status for answer in await asyncio.gather(*asked)), "it did not wake"


@contextmanager
def frozen(child: Child) -> Iterator[None]:
    """It keeps its connections and answers nobody."""
    pid = child.pid
    assert pid is not None, f"{child.program.name} does not run"
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def broker_frozen(town: Town) -> None:
    """For longer than a group waits for its members."""
    with frozen(town.site.stack.child("kafka")):
        await asyncio.sleep(SESSION_TIMEOUT + 2)  # the fault is its length


async def refused_records(town: Town) -> None:
    """Events that the broker will never take, ahead of good ones of the same people and so the same partitions."""
    connection = await asyncpg.connect(town.site.stack.dsn("gateway"))
    people = [person.user_id.encode() for person in town.everybody[-8:]]
    values = [(uuid4(), topic.name, key, os.urandom(topics.MIB + 1)) for topic in _REFUSING for key in people]
    ids = [value[0] for value in values]

    async def all_are_parked() -> bool:
        return bool(await connection.fetchval(PARKED, ids) == len(ids))

    try:
        await connection.executemany(TOO_LARGE, values)
        await until(all_are_parked, "a record that is too large is parked")
    finally:
        await connection.execute("DELETE FROM outbox WHERE id = ANY($1::uuid[])", ids)
        await connection.close()


_REFUSING: Final = (topics.LOGIN_CHALLENGES, topics.SESSION_EVENTS)


async def poison(town: Town) -> None:
    """The largest record that a topic takes, made of nothing, on every topic that a service reads."""
    producer = Producer(Connection(town.site.stack.kafka), "poisoner")
    try:
        for topic in topics.TOPICS:
            if topic.events:
                await producer.send(topic.name, uuid4().hex[:4].encode(), b"\x00" * POISON)
    finally:
        await producer.stop()


async def backends_terminated(town: Town) -> None:
    connection = await asyncpg.connect(town.site.stack.postgres.dsn("postgres", "postgres"))
    try:
        await until(lambda: connection.fetch(BACKENDS), "no service is connected")
    finally:
        await connection.close()


def answer_lost(service: str, statement: str, times: int = 3) -> Fault:
    """The statement is done, its answer never comes back."""

    async def act(town: Town) -> None:
        proxy = town.site.databases[service]
        proxy.lose(statement, times)
        try:
            await until(lambda: proxy.lost >= times, f"{service} did not say {statement} {times} times")
        finally:
            proxy.lose(statement, 0)

    return Fault(f"the answer to {service}'s {statement} is lost", act)


def provider(name: str, seconds: float, **how: Any) -> Fault:
    """The providers misbehave for that long."""

    async def act(town: Town) -> None:
        began = time.monotonic()
        await town.faults(**how)
        try:
            await asyncio.sleep(max(0.0, seconds - (time.monotonic() - began)))  # the fault is its length
        finally:
            await town.faults()

    return Fault(name, act)


def mail_server_down(seconds: float) -> Fault:
    async def act(town: Town) -> None:
        await town.site.mail.shut()
        try:
            await asyncio.sleep(seconds)  # the fault is its length
        finally:
            await town.site.mail.open()

    return Fault(f"the mail server is down for {seconds:.0f} s", act)


async def hold(town: Town) -> None:
    """An operator holds the messages back until those whose codes last seconds have none that is good."""
    await operate(town, "pause")
    seen = _logins(town)
    await until(lambda: _logins(town) >= seen + 2, "nobody came")
    over = time.time() + HASTY_SECONDS
    await until(lambda: time.time() > over, "time stands still")
    await operate(town, "resume")


async def operate(town: Town, what: str) -> None:
    for account in (town.account, town.hasty):
        await town.api.expect(200, "delivery", "POST", f"/v1/deliveries/{what}", {"account": account})


def _logins(town: Town) -> int:
    return len([call for call in town.record.calls if call.what == "login"])


held: Final = Fault("messages held back by an operator", hold)


def with_a_crowd(fault: Fault, size: int) -> Fault:
    """The fault meets that many messages that wait already."""

    async def act(town: Town) -> None:
        await operate(town, "pause")
        await crowd(town, size)
        await operate(town, "resume")
        await fault.act(town)

    return Fault(f"{fault.name}, {size:,} waiting", act)


async def crowd(town: Town, size: int) -> None:
    """Logins that a platform feeds, until each of them is in the ledger."""
    people = await town.people(town.account, [SMS] * size)
    for start in range(0, size, 250):
        await feed(town, people[start : start + 250])

    async def all_wait() -> bool:
        return bool((await rows(town.site.stack, "delivery", QUEUED, town.record.accounts))[0][0] >= size)

    await until(all_wait, f"{size} messages wait", 90)


def killed_in_feed(point: str) -> Fault:
    """The gateway is gone in the middle of a batch of fed logins; each of them is opened once all the same."""

    async def act(town: Town) -> None:
        await until(lambda: does_its_work(town.site.stack.child("gateway")), "the gateway is not ready")
        people = await town.people(town.account, [SMS] * FED)
        given = items((person.user_id for person in people), f"r-{uuid4().hex}")
        async with producing(town.site.stack.kafka) as producer:
            writer = Writer(producer, town.account, *town.feeder)
            feeding = asyncio.create_task(writer.feed(*given))
            await killed_at(point).act(town)
            await feeding
        references = [each["reference"] for each in given]

        async def all_are_opened() -> bool:
            return bool((await rows(town.site.stack, "gateway", OPENED, references))[0][0] == FED)

        await until(all_are_opened, f"{FED} logins that were fed are open")
        await until(lambda: does_its_work(town.site.stack.child("gateway")), "the gateway is not back")
        await call_feed(town, given)

    return Fault(f"kill -9 at {point}", act)


async def feed(town: Town, people: Sequence[Person]) -> None:
    await call_feed(town, items((person.user_id for person in people), f"r-{uuid4().hex}"))


async def call_feed(town: Town, given: Sequence[dict[str, Any]]) -> None:
    headers = {"Authorization": aiohttp.encode_basic_auth(*town.feeder)}
    answer = await town.call("fed", "platform", "gateway", "/v1/feed/logins", {"logins": list(given)}, headers=headers)
    assert answer.status == 200, answer.body
    fed = [answer._replace(body=each, status=202, login_id=each["login_id"]) for each in answer.body["logins"]]
    town.record.calls += fed
