"""A user who is erased: nothing of their contacts is left in any table of any service."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Any

import asyncpg

from deploy.local.stack import SERVICES, Stack
from deploy.local.story import Story
from services.platform.keys.contacts import search_hash
from services.platform.keys.keyring import Keyrings
from tests.integration.gateway_login.world import eventually

TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' ORDER BY 1"


async def everything(stack: Stack) -> dict[str, str]:
    """Every row of every table that the services keep, as text."""
    found = {}
    for service in SERVICES:
        connection = await asyncpg.connect(stack.dsn(service, "postgres"))
        try:
            for (table,) in await connection.fetch(TABLES):
                rows = await connection.fetch(f'SELECT t::text FROM "{table}" t')  # noqa: S608
                found[f"{service}.{table}"] = "\n".join(text for (text,) in rows)
        finally:
            await connection.close()
    return found


def where(tables: dict[str, str], needles: dict[str, str]) -> dict[str, list[str]]:
    return {name: [table for table, text in tables.items() if needle in text] for name, needle in needles.items()}


async def test_no_table_holds_anything_of_an_erased_user(story: Story, stack: Stack) -> None:
    tag = secrets.token_hex(8)
    ring = Keyrings(stack.environment.keys / "gateway").secret("search")
    phone, mailbox = f"+4477{secrets.randbelow(10**8):08d}", f"a{tag}@{tag}.example.com"
    user: dict[str, Any] = {"username": f"u-{tag}", "password": "quite long enough", "phone": phone, "email": mailbox}
    user |= {"two_factor": {"sms": True, "email": True}, "name": f"N {tag}", "claims": {"team": f"t-{tag}"}}
    made = await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", user)
    needles = {
        "username, name, claims, mailbox": tag,
        "phone": search_hash(ring, "phone", phone).hex(),
        "mailbox": search_hash(ring, "email", mailbox).hex(),
        "device": f"d-{secrets.token_hex(8)}",
    }
    body = {"account": story.account, "username": user["username"], "password": user["password"]}
    body |= {"context": {"device_id": needles["device"]}}
    before = datetime.now(UTC)
    _, login = await story.api.call("gateway", "POST", "/v1/logins", body, authenticated=False)
    _, signed_in = await story.verify(login["login"], await story.code_for(phone, "sms", before))
    await story.becomes(signed_in["token"], True)
    status, _ = await story.api.call(
        "gateway", "POST", "/v1/logins", body, authenticated=False
    )  # and another under way
    assert status == 202
    await eventually(lambda: all_found(stack, needles))

    path = f"/v1/accounts/{story.account}/users/{made['user_id']}"
    gone = await story.api.expect(200, "gateway", "DELETE", path)
    assert gone["remains"]
    await story.becomes(signed_in["token"], False)
    try:
        await eventually(lambda: nothing_left(stack, needles), seconds=90)
    except AssertionError:
        raise AssertionError(where(await everything(stack), needles)) from None
    left = where(await everything(stack), {"id": made["user_id"]})["id"]
    assert "gateway.audit" in left
    assert not {"gateway.users", "gateway.logins", "session-store.sessions"} & set(left)


async def all_found(stack: Stack, needles: dict[str, str]) -> bool:
    places = where(await everything(stack), needles)
    await asyncio.sleep(0.2)
    wanted = {"device": "session-store.sessions", "phone": "delivery.deliveries", "mailbox": "gateway.users"}
    return all(places.values()) and all(place in places[name] for name, place in wanted.items())


async def nothing_left(stack: Stack, needles: dict[str, str]) -> bool:
    await asyncio.sleep(1)
    return not any(where(await everything(stack), needles).values())
