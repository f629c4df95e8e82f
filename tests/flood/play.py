"""One flood: an account, its users, the platform that feeds them by both roads, and the deaths in the middle of it."""

import asyncio
import os
import secrets
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final, NamedTuple
from uuid import UUID

import aiohttp
import asyncpg

from deploy.local.people import Api
from deploy.local.postgres import OWNER
from deploy.local.stack import Stack
from gatepost_client import Fed, FedLogin, FedUser, Gatepost, Refused
from schemas.events import AnyEvent, LoginRefused
from services.platform.keys.keyring import Keyrings
from tests.bench import seed
from tests.faults.acts import signalled, until
from tests.faults.site import does_its_work
from tests.feeding import Writer, producing, record
from tests.flood.result import Death, Flooded, Given
from tests.flood.watch import Watch, watching
from tests.integration.heard import listening

# The budget is not what this is about, and what waits for its turn in Kafka must not get too old meanwhile.
SETTINGS: Final = {"feed_per_minute": 600_000, "code_seconds": 600}
SLICE: Final = 500
BATCH: Final = 100
AT_ONCE: Final = 4
# Who dies once this part of the logins is open.
DEATHS: Final = {"gateway": 0.15, "delivery": 0.4, "session-store": 0.6}
PLAIN: Final = """
INSERT INTO users (user_id, account_id, username, username_key)
SELECT gen_random_uuid(), $1, 'p' || n, 'p' || n FROM generate_series(1, $2::int) n RETURNING user_id
"""
LOGINS: Final = "SELECT login_id, user_id, reference, state, auth_time, created_at FROM logins WHERE account_id = $1"
MESSAGES: Final = "SELECT login_id, cause, state, tries, doubtful FROM deliveries WHERE account_id = $1"
SESSIONS: Final = "SELECT login_id FROM sessions WHERE account_id = $1"
SENT: Final = """
SELECT login_id, min(at) AS at FROM delivery_log WHERE account_id = $1 AND what = 'sent' GROUP BY login_id
"""
LETTERS: Final = "SELECT reason, count(*) FROM dead_letters WHERE topic = 'logins' AND at >= $1 GROUP BY reason"

Kill = Callable[[str], Awaitable[None]]


class Size(NamedTuple):
    """References that are fed by each road; how many of the topic's come by HTTP too, and how many are written twice.
    Every so many users have a second factor.
    """

    topic: int
    http: int
    both: int
    again: int
    coded: int = 20


@dataclass
class Flood:
    stack: Stack
    size: Size
    account: UUID
    given: list[Given]
    writer: Writer
    gatepost: Gatepost
    watch: Watch
    heard: list[AnyEvent]
    begun: datetime = field(default_factory=lambda: datetime.now(UTC))
    answers: list[Fed] = field(default_factory=list)
    deaths: list[Death] = field(default_factory=list)
    busy: int = 0

    @property
    def by_topic(self) -> list[Given]:
        return self.given[: self.size.topic]

    @property
    def by_http(self) -> list[Given]:
        """With some of the topic's among them, about when the topic comes to them."""
        topic, own = self.by_topic, self.given[self.size.topic :]
        both = topic[:: max(1, len(topic) // self.size.both)][: self.size.both] if self.size.both else []
        place = {each: n / len(topic) for n, each in enumerate(topic)} | {
            each: n / len(own) for n, each in enumerate(own)
        }
        return sorted([*own, *both], key=lambda each: place[each])

    async def run(self, patience: float, kill: Kill | None = None) -> None:
        """Until all is opened and told. Raises `TimeoutError`."""
        self.begun, end = datetime.now(UTC), time.monotonic() + patience
        async with asyncio.timeout(patience), asyncio.TaskGroup() as group:
            watching = group.create_task(self.watch.run())
            feeding = [group.create_task(each) for each in (self._feed_topic(), self._feed_http())]
            dying = [group.create_task(self._die(*death, kill or self.kill, end)) for death in DEATHS.items()]
            self.deaths = [await task for task in dying]
            await asyncio.gather(*feeding)
            await self.watch.until(lambda: self.watch.opened >= len(self.given), "all are open", end)
            watching.cancel()
        coded = sum(each.phone is not None for each in self.given)
        await self.watch.until_all_is_told(coded, len(self.given) - coded, end)

    async def kill(self, service: str) -> None:
        await signalled(self.stack.child(service), signal.SIGKILL)

    async def result(self) -> Flooded:
        """Without what the provider saw."""
        found = Flooded(self.by_topic, self.by_http, self.answers, deaths=self.deaths, busy=self.busy)
        found.logins = await self._rows("gateway", LOGINS, self.account)
        found.messages = await self._rows("delivery", MESSAGES, self.account)
        found.sent = await self._rows("delivery", SENT, self.account)
        found.sessions = [str(row["login_id"]) for row in await self._rows("session-store", SESSIONS, self.account)]
        for row in await self._rows("delivery", LETTERS, self.begun):
            found.refused[f"topic, dead letter {row['reason']}"] += row["count"]
        for event in self.heard:
            if isinstance(event, LoginRefused) and event.account_id == str(self.account):
                found.refused[f"told, {event.reason}"] += 1
        for fed in self.answers:
            if isinstance(fed.outcome, Refused):
                found.refused[f"HTTP, {fed.outcome.reason}"] += 1
        found.most_behind = self.watch.most_behind
        last = max(row["created_at"] for row in found.logins)
        found.seconds = (last - self.begun).total_seconds()
        return found

    async def _feed_topic(self) -> None:
        """As fast as Kafka takes it. Of what is written twice, every other record comes again at the very end."""
        step = max(1, self.size.topic // self.size.again) if self.size.again else 0
        late: list[dict[str, Any]] = []
        for start in range(0, self.size.topic, SLICE):
            part = list(enumerate(self.by_topic[start : start + SLICE], start))
            events = [record(self.account, _item(each)) for _, each in part]
            again = [event for (n, _), event in zip(part, events, strict=True) if step and n % step == 0]
            late += again[1::2]
            await asyncio.gather(*(self.writer.put(event) for event in (*events, *again[::2])))
        for start in range(0, len(late), SLICE):
            await asyncio.gather(*(self.writer.put(event) for event in late[start : start + SLICE]))

    async def _feed_http(self) -> None:
        """What the other road is in the way of is sent again, as it is told."""
        left = self.by_http
        while left:
            busy = set[str]()
            async for fed in self.gatepost.feed.send(_logins(left), batch=BATCH, at_once=AT_ONCE):
                if isinstance(fed.outcome, Refused) and fed.outcome.reason == "busy":
                    busy.add(fed.reference)
                else:
                    self.answers.append(fed)
            self.busy, left = self.busy + len(busy), [each for each in left if each.reference in busy]

    async def _die(self, service: str, part: float, kill: Kill, end: float) -> Death:
        enough, watch, child = part * len(self.given), self.watch, self.stack.child(service)
        await watch.until(partial(self._is_under_way, enough), f"{service} may be killed", end)
        opened, read, answered, start = watch.opened, watch.read, len(self.answers), time.monotonic()
        await kill(service)
        await until(partial(does_its_work, child), f"{service} is back")
        return Death(service, opened, read, answered, time.monotonic() - start)

    def _is_under_way(self, enough: float) -> bool:
        """So many are open, and each road has brought some."""
        return self.watch.opened >= enough and self.watch.read > 0 and bool(self.answers)

    async def _rows(self, service: str, query: str, *values: Any) -> list[Any]:
        connection = await asyncpg.connect(self.stack.dsn(service))
        try:
            return list(await connection.fetch(query, *values))
        finally:
            await connection.close()


@asynccontextmanager
async def prepared(stack: Stack, size: Size) -> AsyncIterator[Flood]:
    """An account with its users and a client that feeds them."""
    account, client = await _account(stack)
    given, keys, heard = await _given(stack, account, size), stack.environment.keys / "gateway", list[AnyEvent]()
    url, name = stack.environment.url("gateway"), "flood-heard"
    async with (
        producing(stack.kafka) as producer,
        Gatepost(url, client=client, patience=90, timeout=45) as gatepost,
        watching(stack, account) as watch,
        listening(stack.kafka, keys, ["login-outcomes"], name, heard),
    ):
        writer = Writer(producer, account, *client)
        yield Flood(stack, size, account, given, writer, gatepost, watch, heard)


async def _account(stack: Stack) -> tuple[UUID, tuple[str, str]]:
    async with aiohttp.ClientSession() as http:
        api = Api(http, stack.environment.urls(), stack.client())
        body = {"name": f"flood-{secrets.token_hex(6)}", "settings": SETTINGS}
        account = (await api.expect(201, "gateway", "POST", "/v1/accounts", body))["account_id"]
        asked = {"name": "platform", "scopes": ["feed"], "account": account}
        made = await api.expect(201, "gateway", "POST", "/v1/clients", asked)
    return UUID(account), (made["client_id"], made["client_secret"])


async def _given(stack: Stack, account: UUID, size: Size) -> list[Given]:
    """A login of a user of its own for each reference."""
    many, tag = size.topic + size.http, secrets.token_hex(4)
    coded = iter(await _coded(stack, account, len(range(0, many, size.coded))))
    connection = await asyncpg.connect(stack.dsn("gateway"))
    try:
        plain = iter(await connection.fetch(PLAIN, account, many))
    finally:
        await connection.close()
    found = []
    for number in range(many):
        reference = f"f-{tag}-{number}x"
        if number % size.coded == 0:
            person = next(coded)
            found.append(Given(reference, str(person.user_id), person.phone))
        else:
            found.append(Given(reference, str(next(plain)["user_id"]), None))
    return found


async def _coded(stack: Stack, account: UUID, many: int) -> list[seed.Person]:
    """Users who get their codes by SMS, on numbers of nobody else."""
    made, people = seed.Users(Keyrings(stack.environment.keys / "gateway"), account, ""), list[seed.Person]()

    def rows(first: int, count: int) -> Iterator[tuple[Any, ...]]:
        for person, row in made.rows(first, count):
            people.append(person)
            yield row

    first = int.from_bytes(os.urandom(3)) % 9_000 * 10_000
    batches = seed.in_batches(many, lambda at, count: rows(first + at, count), lambda _: None)
    await seed.load(stack.dsn("gateway", OWNER), "users", seed.USER, batches)
    return people


def _logins(given: Iterable[Given]) -> Iterator[FedLogin]:
    """Made as they are asked for: the password step was just now."""
    for each in given:
        user = FedUser(user_id=each.user_id)
        yield FedLogin(reference=each.reference, user=user, authenticated_at=datetime.now(UTC))


def _item(given: Given) -> dict[str, Any]:
    now = datetime.now(UTC).isoformat()
    return {"reference": given.reference, "user": {"user_id": given.user_id}, "authenticated_at": now}
