"""Row of the consoles: how long their pages take with many users and a million messages."""

from __future__ import annotations

import asyncio
import secrets
import time
from collections.abc import AsyncIterator
from typing import Any, Final

from services.platform.cookies import CONSOLE
from tests.bench.figures import Figure, Stopwatch
from tests.bench.flow import PATIENCE, Flow, Strayed, expect
from tests.bench.seed import PASSWORD, Person
from tests.bench.wire import request
from tests.bench.world import ACCOUNT, World, settled

TIMES: Final = 40
ACCOUNTS: Final = ("/users", "/users/{user}", "/outside", "/audit", "/general")
OPERATIONS: Final = (
    "",
    "?span=day",
    "/messages",
    "/messages?unreached=true",
    "/failures",
    "/logins/{login}",
    "/live",
    "/replays",
    "/providers",
    "/guard",
)
# One in fifty failed and became an e-mail; the rest arrived, spread over thirty days.
LOGINS: Final = "INSERT INTO logins (login_id) SELECT md5('l' || n)::uuid FROM generate_series(1, $1::int) n"
DELIVERIES: Final = """
INSERT INTO deliveries (id, login_id, channel, cause, account_id, user_id, state, reason, provider, sealed,
    sealed_event, sealed_cause, masked, country, code_key_id, digits, begun_at, challenged_at, expires_at, created_at,
    updated_at)
SELECT md5('d' || n)::uuid, md5('l' || n)::uuid, 'sms', 'login', $2, md5('u' || n % 10000)::uuid,
    CASE WHEN n % 50 = 0 THEN 'failed' ELSE 'delivered' END, CASE WHEN n % 50 = 0 THEN 'not-a-mobile:21614' END,
    'twilio', '', 'LoginChallenged', 'login', '+44 •••• ••67', 'GB', 1, 6, at, at, at + interval '5 minutes', at, at
FROM generate_series(1, $1::int) n, LATERAL (SELECT now() - n * interval '30 days' / $1 AS at) AS time
"""
LOG: Final = """
INSERT INTO delivery_log (at, login_id, delivery_id, account_id, what, channel, cause, provider, reason, ms)
SELECT d.created_at + step * interval '40 ms', login_id, id, account_id, what, channel, cause,
    CASE WHEN step > 0 THEN 'twilio' END, CASE WHEN what = 'failed' THEN d.reason END, CASE WHEN step > 0 THEN 40 END
FROM deliveries d, LATERAL (SELECT CASE WHEN d.state = 'failed' THEN 'failed' ELSE 'sent' END AS end) AS ended,
    LATERAL (VALUES (0, 'queued'), (1, ended.end)) AS v (step, what)
ORDER BY d.created_at
"""
UNREAD: Final = "SELECT max(id) > (SELECT last_id FROM delivery_minutes_place) FROM delivery_log"
ANALYZED: Final = ("logins", "deliveries", "delivery_log")


async def pages(world: World) -> AsyncIterator[Figure]:
    """One visitor, one page after the other, as a browser asks for them."""
    many = f"{world.options.users:,} users, {world.options.messages:,} messages"
    login = await _messages(world, world.options.messages)
    consoles = {
        "gateway": ("/account", ACCOUNTS, await _signed_in(world, "admin")),
        "delivery": ("/operations", OPERATIONS, await _signed_in(world, "operator")),
    }
    await settled()
    for service, (home, paths, cookie) in consoles.items():
        for path in paths:
            address = home + path.format(user=world.people[len(world.people) // 2].user_id, login=login)
            figure = await _asked(world, service, address, cookie)
            figure.what = f"{home}{path}, {many}"
            yield figure


async def _asked(world: World, service: str, address: str, cookie: str) -> Figure:
    client, watch = world.client(service), Stopwatch(world.meter())
    asking = request("GET", address, headers={"Cookie": f"{CONSOLE}={cookie}", "Accept": "text/html"})
    async with asyncio.timeout(PATIENCE):
        while (await client.send(asking)).status != 200:  # noqa: ASYNC110 - the session is on its way
            await asyncio.sleep(0.1)
    with watch:
        for _ in range(TIMES):
            start = time.perf_counter()
            if (answer := await client.send(asking)).status != 200:
                raise Strayed(f"{address}: {answer.status}")
            watch.times.append(time.perf_counter() - start)
    client.close()
    return watch.figure("pages", address, "pages/s")


async def _messages(world: World, count: int) -> str:
    """That many in the ledger, with their steps; the id of one login."""
    connection = await world.owner("delivery")
    try:
        with world.out.status(f"{count:,} messages …"):
            await connection.execute(LOGINS, count)
            await connection.execute(DELIVERIES, count, world.account)
            await connection.execute(LOG)
            for table in ANALYZED:
                await connection.execute(f"VACUUM ANALYZE {table}")
            while await connection.fetchval(UNREAD):  # noqa: ASYNC110 - delivery adds them up
                await asyncio.sleep(0.5)
            return str(await connection.fetchval("SELECT md5('l50')::uuid"))
    finally:
        await connection.close()


async def _signed_in(world: World, role: str) -> str:
    """The token of somebody with that role, who signed in to a console."""
    name = f"{role}-{secrets.token_hex(4)}"
    phone = f"+4478{secrets.randbelow(10**8):08}"
    gateway, flow = world.client("gateway"), Flow(world)
    body = {"username": name, "password": PASSWORD, "phone": phone, "two_factor": {"sms": True}, "role": role}
    answer = await gateway.call("POST", f"/v1/accounts/{world.account}/users", body, world.basic())
    person = Person(expect(answer, 201)["user_id"], name, phone)
    sent: asyncio.Future[tuple[str, float]] = asyncio.get_running_loop().create_future()
    world.provider.waiting[person.phone] = sent
    given: dict[str, Any] = {"account": ACCOUNT, "username": name, "password": PASSWORD, "audience": "gatepost"}
    login = expect(await gateway.call("POST", "/v1/logins", given), 202)["login"]
    code, _ = await asyncio.wait_for(sent, PATIENCE)
    token = await flow.verify(login, code)
    gateway.close()
    flow.close()
    return token
