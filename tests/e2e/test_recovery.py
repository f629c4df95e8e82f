"""Recovery, rehearsed on real Postgres and Kafka: a restored gateway, a store that lost events."""

import asyncio
import base64
import secrets
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import asyncpg
import pytest
import pytest_asyncio

from deploy.local.postgres import OWNER
from deploy.local.stack import Stack
from services.platform import migrate
from services.platform.kafka import Connection, Producer
from tests.integration.gateway_admin.test_commands import Ran, process
from tests.integration.gateway_login.world import Desk, Heard, Member, Place, opened
from tests.integration.session_store import world as store

ROLE = "gatepost_gateway"


@dataclass(frozen=True)
class Rehearsal:
    """Gateways with databases of their own beside the running system, and its session store."""

    stack: Stack
    name: str

    async def create(self, template: str | None = None) -> str:
        """A new database; a copy of another one is its backup."""
        name = f"{self.name}_{secrets.token_hex(4)}"
        await self.by_superuser(f"CREATE DATABASE {name} OWNER {OWNER}" + (f" TEMPLATE {template}" if template else ""))
        await self.by_superuser(f"GRANT CONNECT ON DATABASE {name} TO {ROLE}")
        if template is None:
            await migrate.apply(self.stack.postgres.dsn(name, OWNER), "gateway")
        return name

    async def by_superuser(self, statement: str) -> None:
        connection = await asyncpg.connect(self.stack.postgres.dsn("postgres", "postgres"))
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    @asynccontextmanager
    async def gateway(self, database: str) -> AsyncIterator[Desk]:
        keys = self.stack.environment.keys / "gateway"
        async with opened(Place(self.stack.kafka, self.dsn(database), keys), Heard(keys)) as desk:
            yield desk

    def dsn(self, database: str) -> str:
        return self.stack.postgres.dsn(database, ROLE)

    async def command(self, database: str, *arguments: str) -> Ran:
        """A command of the restored gateway."""
        environment = {
            "GATEPOST_DATABASE": self.dsn(database),
            "GATEPOST_KEYS": str(self.stack.environment.keys / "gateway"),
            "GATEPOST_KAFKA": self.stack.kafka,
        }
        return await process(environment, *arguments)

    async def export(self, file: Path) -> Ran:
        environment = {"GATEPOST_DATABASE": self.stack.dsn("session-store")}
        return await process(environment, "sessions", "floors", "--export", str(file))

    async def active(self, token: str) -> Any:
        pair = ":".join(self.stack.client())
        headers = {"Authorization": "Basic " + base64.b64encode(pair.encode()).decode()}
        url = self.stack.environment.url("session-store") + "/v1/introspect"
        async with aiohttp.ClientSession() as http, http.post(url, data={"token": token}, headers=headers) as answer:
            return (await answer.json())["active"] if answer.status == 200 else answer.status

    async def becomes(self, token: str, wanted: bool) -> None:
        await becomes(lambda: self.active(token), wanted)


async def becomes(asked: Callable[[], Awaitable[Any]], wanted: object, seconds: float = 20) -> None:
    deadline = asyncio.get_running_loop().time() + seconds
    while (found := await asked()) != wanted:
        assert asyncio.get_running_loop().time() < deadline, f"it stayed {found}"
        await asyncio.sleep(0.05)


@pytest_asyncio.fixture(scope="module")
async def rehearsal(stack: Stack) -> Rehearsal:
    return Rehearsal(stack, "rehearsal")


async def member(desk: Desk) -> Member:
    """Somebody without a second factor, in an account of their own."""
    return await desk.member(sms=False, mail=False)


async def token_of(desk: Desk, who: Member) -> str:
    answer = await desk.sign_in(who)
    assert answer.status == 200, answer.data
    return str(answer.data["token"])


async def expire(desk: Desk, who: Member) -> None:
    path = f"/v1/accounts/{who.account_id}/users/{who.user_id}/expire-sessions"
    answer = await desk("POST", path, {}, Authorization=await desk.client("accounts:write"))
    assert answer.status == 200, answer.data


async def test_a_restored_gateway_adopts_the_stores_floors_or_ends_everything(rehearsal: Rehearsal, tmp_path: Path):
    lost = await rehearsal.create()
    async with rehearsal.gateway(lost) as desk:
        calm, expired = await member(desk), await member(desk)
        old = await token_of(desk, calm)
    backup = await rehearsal.create(template=lost)
    async with rehearsal.gateway(lost) as desk:
        since_backup = await token_of(desk, calm)
        await expire(desk, expired)
    async with rehearsal.gateway(backup) as desk:
        dead_at_once = await token_of(desk, expired)
        await rehearsal.becomes(dead_at_once, False)

    file = tmp_path / "floors"
    exported = await rehearsal.export(file)
    assert (exported.code, file.stat().st_mode & 0o077) == (0, 0), exported.err
    for users in (1, 0):  # the second time there is nothing left to do
        kept = ("--keep-sessions", "--floors", str(file), "--json")
        adopted = await rehearsal.command(backup, "recover", "gateway", *kept)
        assert (adopted.code, adopted.data) == (0, {"users": users, "accounts": 0}), adopted.err
    async with rehearsal.gateway(backup) as desk:
        await rehearsal.becomes(await token_of(desk, expired), True)
    assert [await rehearsal.active(token) for token in (old, since_backup)] == [True, True]

    ended = await rehearsal.command(backup, "recover", "gateway", "--yes", "--json")
    assert (ended.code, ended.data) == (0, {"users": 2, "accounts": 2, "queued": 0}), ended.err
    for token in (old, since_backup):
        await rehearsal.becomes(token, False)
    async with rehearsal.gateway(backup) as desk:
        for who in (calm, expired):
            await rehearsal.becomes(await token_of(desk, who), True)


async def test_what_the_store_lost_is_told_again_ends_before_sessions_and_twice_does_no_harm(rehearsal: Rehearsal):
    database, begun = await rehearsal.create(), datetime.now(UTC) - timedelta(seconds=1)
    async with rehearsal.gateway(database) as desk:
        calm, expired = await member(desk), await member(desk)
        alive, dead = await token_of(desk, calm), await token_of(desk, expired)
        await rehearsal.becomes(dead, True)
        await expire(desk, expired)
        await rehearsal.becomes(alive, True)
        await rehearsal.becomes(dead, False)
    async with a_store_that_lost(rehearsal, calm, expired) as left:
        assert await left.told(alive) is not True
        await becomes(lambda: left.told(dead), True)
        for _ in range(2):
            done = await rehearsal.command(database, "sessions", "republish", "--since", begun.isoformat(), "--json")
            assert (done.code, done.data) == (0, {"floors": 4, "lengths": 2, "sessions": 1, "queued": 0}), done.err
            await becomes(lambda: left.told(alive), True)
            await becomes(lambda: left.told(dead), False)
        later = (datetime.now(UTC) + timedelta(seconds=5)).isoformat()
        none = await rehearsal.command(database, "sessions", "republish", "--since", later, "--json")
        assert (none.data["floors"], none.data["sessions"]) == (2, 0)


@dataclass(frozen=True)
class Left:
    world: store.World

    async def told(self, token: str) -> Any:
        status, answer = await self.world.call("POST", "/v1/introspect", data={"token": token})
        return answer["active"] if status == 200 else status


@asynccontextmanager
async def a_store_that_lost(rehearsal: Rehearsal, calm: Member, expired: Member) -> AsyncIterator[Left]:
    """One that starts from a database without the first one's session and without the other one's floor.

    Both were heard of before they were written.
    """
    stack = rehearsal.stack
    connection = await asyncpg.connect(stack.dsn("session-store"))
    try:
        await becomes(lambda: connection.execute("DELETE FROM sessions WHERE user_id = $1", calm.user_id), "DELETE 1")
        await becomes(lambda: connection.execute("DELETE FROM floors WHERE id = $1", expired.user_id), "DELETE 1")
    finally:
        await connection.close()
    producer = Producer(Connection(stack.kafka), "gatepost-test-recovery")
    place = store.Place(stack.kafka, stack.dsn("session-store"), stack.environment.keys)
    async with store.opened(place, producer) as world:
        yield Left(world)
    await producer.stop()


async def test_without_kafka_what_is_told_again_waits_in_the_outbox_for_a_gateway(rehearsal: Rehearsal):
    database, begun = await rehearsal.create(), datetime.now(UTC) - timedelta(seconds=1)
    async with rehearsal.gateway(database) as desk:
        alive = await token_of(desk, await member(desk))
        await rehearsal.becomes(alive, True)
    environment = {
        "GATEPOST_DATABASE": rehearsal.dsn(database),
        "GATEPOST_KEYS": str(rehearsal.stack.environment.keys / "gateway"),
        "GATEPOST_KAFKA": "127.0.0.1:1",
    }
    done = await process(environment, "sessions", "republish", "--since", begun.isoformat(), "--json")
    assert (done.code, done.data["queued"]) == (0, 4), done.err
    async with rehearsal.gateway(database) as desk:
        await becomes(lambda: desk.pool.fetchval("SELECT count(*) FROM outbox"), 0)


@pytest.mark.parametrize(
    ("spoil", "named"),
    [
        (lambda text: text[: len(text) // 2].rpartition("\n")[0] + "\n", "cut short"),
        (lambda text: text.replace('"scope":"account"', '"scope":"planet"', 1), "no floor"),
        (lambda text: text.replace('"floor":', '"floor":9', 1), "future"),
        (lambda _: "", "no file of"),
    ],
    ids=["cut short", "another scope", "year 2286", "empty"],
)
async def test_a_file_that_is_not_whole_changes_nothing(
    rehearsal: Rehearsal, tmp_path: Path, spoil: Callable[[str], str], named: str
):
    database, file = await rehearsal.create(), tmp_path / "floors"
    async with rehearsal.gateway(database) as desk:
        who = await member(desk)
        await expire(desk, who)
        await desk.pool.execute("UPDATE users SET epoch = 1")
    await becomes(lambda: floor_of(rehearsal, who), True)
    assert (await rehearsal.export(file)).code == 0
    file.write_text(spoil(file.read_text()))
    refused = await rehearsal.command(database, "recover", "gateway", "--keep-sessions", "--floors", str(file))
    assert (refused.code, named in refused.err.replace("\n", " ")) == (1, True), refused.err
    async with rehearsal.gateway(database) as desk:
        assert await desk.pool.fetchval("SELECT epoch FROM users") == 1


async def floor_of(rehearsal: Rehearsal, who: Member) -> bool:
    connection = await asyncpg.connect(rehearsal.stack.dsn("session-store"))
    try:
        return bool(await connection.fetchval("SELECT true FROM floors WHERE id = $1", who.user_id))
    finally:
        await connection.close()


async def test_a_store_whose_offsets_are_outside_the_log_stops_and_reads_on_once_they_are_moved(rehearsal: Rehearsal):
    stack, database = rehearsal.stack, await rehearsal.create()
    environment = stack.environment.of_service("session-store")
    await stack.child("session-store").stop()
    connection = await asyncpg.connect(stack.dsn("session-store"))
    try:
        done_to = await connection.execute("UPDATE offsets SET next_offset = next_offset + 1000000")
        lost = await asyncio.wait_for(process(environment, "serve", "session-store"), 60)
        assert "stored_offset_outside_the_log" in lost.out
        for moved in (done_to.removeprefix("UPDATE "), "0"):
            done = await process(environment, "recover", "session-store")
            assert (done.code, done.out.split()[0]) == (0, moved), done.err
    finally:
        await connection.close()
        await stack.run(stack.service("session-store"))
    async with rehearsal.gateway(database) as desk:
        for _ in range(4):
            await rehearsal.becomes(await token_of(desk, await member(desk)), True)


async def test_wrong_use_is_said_in_words(rehearsal: Rehearsal, tmp_path: Path):
    database = await rehearsal.create()
    stranger = {"GATEPOST_DATABASE": rehearsal.dsn(database)}
    no_keys = await process(stranger, "sessions", "republish", "--since", "2026-01-01T00:00:00Z")
    no_offset = await rehearsal.command(database, "sessions", "republish", "--since", "2026-01-01")
    half = await rehearsal.command(database, "recover", "gateway", "--keep-sessions")
    other = await process(stranger, "sessions", "floors", "--export", str(tmp_path / "floors"))
    asked = await rehearsal.command(database, "recover", "gateway")
    assert [ran.code for ran in (no_keys, no_offset, half, other, asked)] == [2, 2, 2, 2, 1]
