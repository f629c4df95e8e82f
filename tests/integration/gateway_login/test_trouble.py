"""Kafka away: logins are queued and sessions take the second road. Postgres away: 503, and it mends itself."""

import asyncio
import base64
import os
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

from aiohttp import web
from aiohttp.test_utils import TestServer
from pydantic import SecretStr

from schemas import codec
from schemas.events import ExpireAll, LoginChallenged, LoginClosed, Verified
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.house import HOUSE
from services.login_gateway.login import new_login, open_verified
from services.login_gateway.password_step import LoginContext
from services.login_gateway.ports import Kept
from services.login_gateway.postgres import sessions
from services.platform.kafka import Connection, Producer
from services.platform.keys.grants import Verifier
from services.platform.keys.keyring import Keyrings
from services.platform.outbox import Outbox, OutboxRow, insert
from tests.integration.gateway_login.world import Desk, Member, Place, Road, eventually, opened


def nobody_listens() -> str:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return f"127.0.0.1:{free.getsockname()[1]}"


class Store:
    """The session store's end of the second road: takes what is signed, keeps what it took."""

    def __init__(self, place: Place) -> None:
        self.took: list[Any] = []
        self._verifier = Verifier(Keyrings(place.keys).secret("grants.pub"))

    async def events(self, request: web.Request) -> web.Response:
        assert request.headers["Authorization"].startswith("Basic ")
        for each in (await request.json())["events"]:
            key, value, signature = (base64.b64decode(each[name]) for name in ("key", "value", "signature"))
            self._verifier.verify(each["topic"], key, value, signature)
            self.took.append(codec.decode_for(each["topic"], value))
        return web.json_response({"applied": 1})


@asynccontextmanager
async def without_kafka(place: Place, desk: Desk) -> AsyncIterator[tuple[Desk, Store]]:
    store, app = Store(place), web.Application()
    app.router.add_post("/v1/events", store.events)
    async with TestServer(app) as server:
        url = str(server.make_url("")).rstrip("/")
        away = {"kafka": nobody_listens(), "session_store_url": url, "client": SecretStr("gateway:secret")}
        async with opened(place.but(**away), desk.heard) as alone:
            yield alone, store


async def test_with_kafka_away_a_login_is_queued_and_another_gateway_sends_it(place: Place, desk: Desk) -> None:
    async with without_kafka(place, desk) as (alone, _):
        login = await alone.challenged(await alone.member())
        assert login["delivery"]["state"] == "queued"
        assert not desk.heard.all(LoginChallenged, login_id=login["login_id"])
    await desk.heard.one(LoginChallenged, seconds=40, login_id=login["login_id"])


async def test_a_gateway_cut_off_from_kafka_keeps_nothing_from_a_healthy_one(place: Place, desk: Desk) -> None:
    async with without_kafka(place, desk) as (alone, _):
        logins = [await alone.challenged(await alone.member()) for _ in range(12)]
        for login in logins:
            await desk.heard.one(LoginChallenged, seconds=20, login_id=login["login_id"])


async def test_with_kafka_away_a_verified_login_takes_the_second_road(place: Place, desk: Desk) -> None:
    async with without_kafka(place, desk) as (alone, store):
        login = await alone.challenged(await alone.member())
        code = await _code_in_outbox(alone, login)
        assert (await alone.verify(login, code)).status == 200

        async def taken() -> Any:
            return [e for e in store.took if isinstance(e, Verified) and e.login_id == login["login_id"]]

        assert await eventually(taken)


async def test_with_kafka_away_clear_all_is_effective_by_the_second_road(place: Place, desk: Desk) -> None:
    async with without_kafka(place, desk) as (alone, store):
        who = await alone.member()
        assert await _expire_account(alone, who) == "now"
        assert any(isinstance(e, ExpireAll) and e.account_id == str(who.account_id) for e in store.took)


async def test_with_both_roads_closed_clear_all_says_queued(place: Place, desk: Desk) -> None:
    async with opened(place.but(kafka=nobody_listens()), desk.heard) as alone:
        assert await _expire_account(alone, await alone.member()) == "queued"


async def test_the_gateway_is_ready_with_kafka_away(place: Place, desk: Desk) -> None:
    async with without_kafka(place, desk) as (alone, _):
        assert (await alone("GET", "/readyz")).status == 200


async def test_with_postgres_away_the_answer_is_503_at_once_and_it_mends_itself(cut_off: tuple[Desk, Road]) -> None:
    desk, road = cut_off
    who = await desk.member(sms=False)
    road.close()
    async with asyncio.timeout(8):
        answer = await desk.sign_in(who)
    assert (answer.status, answer.problem, answer.headers["Retry-After"]) == (503, "database-unavailable", "1")
    assert (await desk("GET", "/readyz")).status == 503
    road.reopen()

    async def works() -> bool:
        return (await desk.sign_in(who)).status == 200

    assert await eventually(works)


async def test_calls_with_one_key_never_wait_for_each_others_connections(place: Place, desk: Desk) -> None:
    """More of them than the pool has connections: the losers ask what the winner opened once theirs is free again."""
    async with opened(place.but(database_pool=2), desk.heard) as narrow:
        who, house = await narrow.member(sms=False), narrow.app[HOUSE]
        user: Any = await house.users.by_name(who.account_id, who.username)
        kept = Kept(b"key", b"body")
        new = [new_login(house, user, "apps", LoginContext(), user["at"]) for _ in range(8)]
        async with asyncio.timeout(10):
            found = await asyncio.gather(*(open_verified(house, login, kept) for login in new))
        assert len({login["login_id"] for login in found}) == 1


async def test_a_try_during_which_postgres_goes_away_is_no_sign_in(cut_off: tuple[Desk, Road]) -> None:
    desk, road = cut_off
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    road.close()
    assert (await desk.verify(login, code)).status == 503
    road.reopen()

    async def works() -> bool:
        return (await desk.verify(login, code)).status == 200

    assert await eventually(works)


async def test_a_stream_ends_cleanly_when_postgres_goes_away(cut_off: tuple[Desk, Road]) -> None:
    desk, road = cut_off
    login = await desk.challenged(await desk.member())
    async with desk.http.get(f"{desk.base}/v1/logins/{login['login']}/events") as stream:
        assert await stream.content.readline() == b"event: state\r\n"
        road.close()
        async with asyncio.timeout(15):
            rest = (await stream.content.read()).decode()
    road.reopen()
    assert "HTTP/1.1" not in rest
    assert "database-unavailable" not in rest


async def test_expiring_a_users_sessions_closes_their_login_under_way(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    admin = desk.app[ADMINISTRATION]
    async with admin.transaction() as (connection, rows):
        rows.extend(await sessions.expire_user(connection, admin.signer, who.user_id, "test"))
    await admin.announce(rows)
    answer = await desk.verify(login, code)
    assert (answer.status, answer.data["reason"]) == (410, "sessions-expired")
    assert (await desk.heard.one(LoginClosed, login_id=login["login_id"])).reason == "sessions-expired"
    assert (await desk.guard(who))["wrong"] == 0


async def test_a_login_from_before_the_floor_is_dead_even_if_it_was_not_closed(desk: Desk) -> None:
    login = await desk.challenged(who := await desk.member())
    code = await desk.heard.code(login)
    await desk.pool.execute("UPDATE users SET epoch = epoch + 1 WHERE user_id = $1", who.user_id)
    answer = await desk.verify(login, code)
    assert (answer.status, answer.data["reason"]) == (410, "sessions-expired")


async def _expire_account(desk: Desk, who: Member) -> str:
    admin = desk.app[ADMINISTRATION]
    async with admin.transaction() as (connection, rows):
        rows.extend(await sessions.expire_account(connection, admin.signer, who.account_id, "test"))
    return await admin.announce(rows)


async def _code_in_outbox(desk: Desk, login: dict[str, Any]) -> str:
    """The event while it waits in the outbox, or from the topic when another gateway took it meanwhile."""
    row = await desk.pool.fetchrow(
        "SELECT value FROM outbox WHERE topic = 'login-challenges' AND convert_from(value, 'UTF8') LIKE $1",
        f"%{UUID(login['login_id'])}%",
    )
    if row is None:
        return await desk.heard.code(login)
    event = codec.decode_for("login-challenges", row["value"])
    assert isinstance(event, LoginChallenged)
    return desk.heard.derive(event, "sms")


async def test_a_record_that_the_broker_refuses_is_parked_and_counts_as_an_answer_of_the_broker(
    place: Place, desk: Desk
) -> None:
    producer = Producer(Connection(place.kafka), "test-refused")
    outbox, row = Outbox(desk.pool, producer), OutboxRow(uuid4(), "login-challenges", b"k", os.urandom(1_100_000), {})
    async with desk.pool.acquire() as connection:
        await insert(connection, [row])
    try:
        assert await asyncio.gather(*outbox.publish_soon([row])) == [False]
        assert outbox._kafka_answered()
        reason = await desk.pool.fetchval("DELETE FROM outbox WHERE id = $1 RETURNING parked", row.id)
        assert reason == "MessageSizeTooLargeError"
    finally:
        await producer.stop()
