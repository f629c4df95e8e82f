"""Canaries through feeds and clients."""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aiohttp
import asyncpg

from deploy.local.people import Api
from tests.feeding import Writer, producing
from tests.secrecy.play import Cast, context, handle, member, token, until

SPENT = """
INSERT INTO feed_budgets VALUES ($1, now() + interval '350 seconds')
ON CONFLICT (account_id) DO UPDATE SET spent_until = excluded.spent_until
"""


async def client(cast: Cast, *scopes: str) -> tuple[Api, dict[str, str]]:
    """A program of the account, whose secret is given anew once."""
    pair = await _pair(cast, *scopes)
    return Api(cast.http, cast.api.urls, pair), {"Authorization": aiohttp.encode_basic_auth(*pair)}


async def _pair(cast: Cast, *scopes: str) -> tuple[str, str]:
    body = {"scopes": list(scopes), "account": cast.account, "name": cast.canaries.new("client name", "Çy {}")}
    made = await cast.api.expect(201, "gateway", "POST", "/v1/clients", body)
    cast.canaries.known("client secret", made["client_secret"])
    path = f"/v1/clients/{made['client_id']}"
    made = await cast.api.expect(200, "gateway", "PATCH", path, {"rotate_secret": True})
    cast.canaries.known("client secret", made["client_secret"])
    return str(made["client_id"]), str(made["client_secret"])


async def fed_by_topic(cast: Cast) -> None:
    """One login is opened, one is refused, one waits for the account's budget."""
    who, nobody = await member(cast), {"external_id": cast.canaries.new("external id", "cy/ext-{}")}
    gateway = await asyncpg.connect(cast.stack.dsn("gateway"))
    try:
        async with producing(cast.stack.kafka) as producer:
            writer = Writer(producer, cast.account, *await _pair(cast, "feed"))
            item = _topic_item(cast, who)
            await writer.feed(item, _topic_item(cast, nobody))
            opened = "SELECT true FROM logins WHERE reference = $1"
            await until(lambda: gateway.fetchval(opened, item["reference"]))
            await gateway.execute(SPENT, UUID(cast.account))
            await writer.feed(_topic_item(cast, who))
            await until(lambda: gateway.fetchval("SELECT true FROM feed_waiting"))
            await gateway.execute("DELETE FROM feed_budgets WHERE account_id = $1", UUID(cast.account))
    finally:
        await gateway.close()


def _topic_item(cast: Cast, who: dict[str, Any]) -> dict[str, Any]:
    """Address and user agent go no further than the topic."""
    item = _item(cast, who)
    fields = {name: cast.canaries.new("fed address") for name in ("ip", "user_agent")}
    return item | {"context": item["context"] | fields}


async def fed(cast: Cast) -> None:
    platform, _ = await client(cast, "feed")
    who = await member(cast)
    login = _item(cast, who)
    answer = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", {"logins": [login, *_bad(cast, who)]})
    statuses = [each["status"] for each in answer["logins"]]
    assert statuses == ["code_required", *["refused"] * (len(statuses) - 1)], answer
    handle(cast.canaries, answer["logins"][0]["login"])
    path = f"/v1/feed/logins/{login['reference']}"
    code = await cast.code(who["phone"], "sms")
    await platform.expect(401, "gateway", "POST", f"{path}/verify", {"code": "0000000000"})
    done = await platform.expect(200, "gateway", "POST", f"{path}/verify", {"code": code})
    token(cast.canaries, done["token"])
    await platform.expect(200, "gateway", "GET", path)
    await _plain(cast, platform)


async def _plain(cast: Cast, platform: Api) -> None:
    """A fed user without second factor gets a token at once."""
    plain = _item(cast, await member(cast, two_factor={}))
    answer = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", {"logins": [plain]})
    token(cast.canaries, answer["logins"][0]["token"])


def _item(cast: Cast, who: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"reference": cast.canaries.new("reference", "cy-ref-{}"), "user": {"external_id": who["external_id"]}}
    now = datetime.now(UTC).isoformat()
    return base | {"authenticated_at": now, "context": context(cast.canaries)} | more


def _bad(cast: Cast, who: dict[str, Any]) -> list[dict[str, Any]]:
    """References that are contacts, users that are nobody, contexts that are too long."""
    new = cast.canaries.new
    return [
        _item(cast, who, reference=cast.canaries.email("misplaced")),
        _item(cast, who, reference=cast.canaries.phone("misplaced")),
        _item(cast, who, user={"external_id": new("misplaced")}),
        _item(cast, who, user={"user_id": new("misplaced")}),
        _item(cast, who, context={"origin": new("misplaced") * 50}),
        _item(cast, who, authenticated_at="2020-01-01T00:00:00Z"),
    ]


async def refused_credentials(cast: Cast) -> None:
    """A wrong secret, another's id, a token in the place of a client: all three services."""
    for service in cast.api.urls:
        path = {"gateway": "/v1/accounts", "delivery": "/v1/deliveries", "session_store": "/v1/sessions"}[service]
        known, _ = cast.stack.client()
        new = cast.canaries.new
        pairs = ((known, new("misplaced")), (new("misplaced", "cl_{}"), new("misplaced")))
        for pair in pairs:
            auth = {"Authorization": aiohttp.encode_basic_auth(*pair)}
            await cast.api.expect(401, service, "GET", path, authenticated=False, headers=auth)
        for text in ("Bearer gp_{}", "Bearer {}", "Digest {}", "Basic {}"):
            auth = {"Authorization": new("misplaced", text)}
            await cast.api.expect(401, service, "GET", path, authenticated=False, headers=auth)
