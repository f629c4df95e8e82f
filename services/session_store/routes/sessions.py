"""Introspection (RFC 7662), revocation (RFC 7009), metadata (RFC 8414), lists, the second road."""

from datetime import UTC, datetime
from typing import Annotated, Any, Final
from urllib.parse import parse_qs
from uuid import UUID

import msgspec
from aiohttp import web

from services.platform.auth import EVERY, Client, Who, in_account, own_account
from services.platform.http import LARGE_BODY_LIMIT, Problem, body, json_response, query, raw_body
from services.session_store import listing
from services.session_store.memory import Session
from services.session_store.store import STORE, SentEvent
from services.session_store.who import caller

LONGEST: Final = 365 * 86_400
INACTIVE: Final = {"active": False}


class Page(msgspec.Struct, forbid_unknown_fields=True):
    account: UUID
    user: UUID | None = None
    cursor: UUID | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 50


class Older(msgspec.Struct, forbid_unknown_fields=True):
    account: UUID
    user: UUID | None = None
    older_than: Annotated[int, msgspec.Meta(ge=0, le=LONGEST)] = 0


class Sent(msgspec.Struct, forbid_unknown_fields=True):
    events: Annotated[list[SentEvent], msgspec.Meta(min_length=1, max_length=500)]


def add_routes(app: web.Application) -> None:
    app.router.add_post("/v1/introspect", introspect)
    app.router.add_post("/v1/revoke", revoke)
    app.router.add_get("/v1/sessions", listed)
    app.router.add_get("/v1/sessions/count", count)
    app.router.add_delete("/v1/sessions/{login_id}", end)
    app.router.add_post("/v1/events", events)
    app.router.add_get("/.well-known/oauth-authorization-server", metadata)


async def introspect(request: web.Request) -> web.Response:
    who, store = await caller(request), request.app[STORE]
    alive = await store.alive(await _token(request))
    if alive is None or not _may_see(who, alive.session):
        return json_response(INACTIVE)
    return json_response(described(*alive))


async def revoke(request: web.Request) -> web.Response:
    """200 whether or not the token was known (RFC 7009 §2.2)."""
    who, store = await caller(request), request.app[STORE]
    alive = await store.alive(await _token(request))
    if alive is not None and _may_see(who, alive.session):
        await store.revoke(alive.session, who.name)
    return json_response({})


async def listed(request: web.Request) -> web.Response:
    """A user's or account's live sessions, newest first; the first page also says how many there are by age."""
    who, store, page = await caller(request), request.app[STORE], query(request, Page)
    in_account(who, page.account)
    found = await listing.page(store.pool, page.account, page.user, page.cursor, page.limit)
    rules = await store.rules(page.account, {each.user_id for each in found})
    cursor = found[-1].login_id if len(found) == page.limit else None
    ages = await listing.by_age(store.pool, page.account, page.user) if page.cursor is None else None
    shown = [_row(each, rules.end_of(each)) for each in found]
    return json_response({"sessions": shown, "cursor": cursor, "count_by_age": ages})


async def count(request: web.Request) -> web.Response:
    """How many live sessions there are, or how many of them a session length of `older_than` seconds would end."""
    who, store, asked = await caller(request), request.app[STORE], query(request, Older)
    in_account(who, asked.account)
    found, capped = await listing.count(store.pool, asked.account, asked.user, asked.older_than)
    return json_response({"count": found, "capped": capped})


async def end(request: web.Request) -> web.Response:
    who, store = await caller(request), request.app[STORE]
    try:
        session = await store.find(UUID(request.match_info["login_id"]))
    except ValueError:
        session = None
    if session is None or own_account(who) not in (None, str(session.account_id)):
        raise Problem(404, "not-found", "There is no such session.")
    return json_response({"effective": await store.revoke(session, who.name)})


async def events(request: web.Request) -> web.Response:
    await caller(request)
    sent = await body(request, Sent, LARGE_BODY_LIMIT)
    return json_response({"applied": await request.app[STORE].take(sent.events)})


async def metadata(request: web.Request) -> web.Response:
    base = request.app[STORE].issuer or f"{request.scheme}://{request.host}"
    return json_response(
        {
            "issuer": base,
            "introspection_endpoint": f"{base}/v1/introspect",
            "revocation_endpoint": f"{base}/v1/revoke",
            "introspection_endpoint_auth_methods_supported": ["client_secret_basic"],
            "revocation_endpoint_auth_methods_supported": ["client_secret_basic"],
            "response_types_supported": [],
            "grant_types_supported": [],
            "acr_values_supported": [f"urn:gatepost:acr:{name}" for name in ("pwd", "pwd+email", "pwd+sms")],
        }
    )


def described(session: Session, until: float) -> dict[str, Any]:
    """What RFC 7662 §2.2 names, and what is Gatepost's own."""
    return {
        "active": True,
        "sub": session.user_id,
        "account": session.account_id,
        "role": session.role,
        "claims": session.claims,
        "device": session.device,
        "jti": session.login_id,
        "aud": session.aud,
        "iat": int(session.issued_at),
        "exp": int(until),
        "auth_time": int(session.auth_time),
        "acr": session.acr,
        "amr": session.amr,
        "token_type": "Bearer",
    }


def _row(session: Session, until: float) -> dict[str, Any]:
    return {
        "login_id": session.login_id,
        "user_id": session.user_id,
        "issued_at": datetime.fromtimestamp(session.issued_at, UTC),
        "expires_at": datetime.fromtimestamp(until, UTC),
        "device": session.device,
        "acr": session.acr,
        "aud": session.aud,
    }


def _may_see(who: Who, session: Session) -> bool:
    """A user sees their own; a client of an account that account's; audience `gatepost` is for our own services."""
    if not isinstance(who, Client):
        return who.user_id == str(session.user_id)
    if who.account not in (EVERY, str(session.account_id)):
        return False
    return session.aud == "apps" or "internal" in who.scopes


async def _token(request: web.Request) -> str:
    if request.content_type != "application/x-www-form-urlencoded":
        raise Problem(415, "form-required", "Send token=… as application/x-www-form-urlencoded (RFC 7662 §2.1).")
    form = parse_qs((await raw_body(request)).decode(errors="replace"), keep_blank_values=True)
    if any(len(values) > 1 for values in form.values()):
        raise Problem(400, "bad-request", "A form field is given twice.")
    token = form.get("token", [""])[0]
    if not token:
        raise Problem(400, "bad-request", "The form field token is missing.")
    return token
