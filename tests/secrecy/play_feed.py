"""Canaries through feeds and clients."""

from datetime import UTC, datetime
from typing import Any

import aiohttp

from deploy.local.people import Api
from tests.secrecy.play import Cast, context, handle, member, token


async def client(cast: Cast, *scopes: str) -> tuple[Api, dict[str, str]]:
    """A program of the account, whose secret is given anew once."""
    body = {"scopes": list(scopes), "account": cast.account, "name": cast.canaries.new("client name", "Çy {}")}
    made = await cast.api.expect(201, "gateway", "POST", "/v1/clients", body)
    cast.canaries.known("client secret", made["client_secret"])
    path = f"/v1/clients/{made['client_id']}"
    made = await cast.api.expect(200, "gateway", "PATCH", path, {"rotate_secret": True})
    cast.canaries.known("client secret", made["client_secret"])
    pair = (made["client_id"], made["client_secret"])
    return Api(cast.http, cast.api.urls, pair), {"Authorization": aiohttp.encode_basic_auth(*pair)}


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
