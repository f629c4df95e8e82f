"""`/v1/logins`: parse, call one function, render."""

import ipaddress
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final, Literal
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from aiohttp.typedefs import Handler

from services.login_gateway import events, login, status
from services.login_gateway.house import HOUSE, House
from services.login_gateway.password_step import LoginBody
from services.login_gateway.resend import resend as send_again
from services.login_gateway.routes.following import STREAMS, Streams, Word, follow
from services.login_gateway.verify import SignedIn, VerifyBody, verify_code
from services.platform import metrics
from services.platform.auth import Client, authenticate
from services.platform.http import Problem, body, json_response
from services.platform.keys.tokens import BadToken
from services.platform.tracing import HEADER as TRACE_HEADER
from services.platform.tracing import called_by

log = structlog.get_logger()

HEADER: Final = "Gatepost-Login"


class ResendBody(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    channel: Literal["sms", "email"] | None = None


def add_routes(app: web.Application) -> None:
    app[STREAMS] = Streams()
    app.router.add_post("/v1/logins", sign_in)
    app.router.add_get("/v1/logins/{login}", state)
    app.router.add_get("/v1/logins/{login}/events", stream)
    app.router.add_post("/v1/logins/{login}/verify", verify)
    app.router.add_post("/v1/logins/{login}/resend", resend)


@web.middleware
async def linked(request: web.Request, handler: Handler) -> web.StreamResponse:
    """The trace of a login names the one that it was called from."""
    called_by(request.headers.get(TRACE_HEADER))
    return await handler(request)


async def sign_in(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    given = await body(request, LoginBody)
    found = await login.sign_in(house, given, await address_of(request, given), request.headers.get("Idempotency-Key"))
    shown = shown_at_once(house, found)
    log.info("login_opened", login_id=str(found["login_id"]), code_required=shown is None)
    return json_response(status.view(house, found), 202) if shown is None else json_response(shown)


async def verify(request: web.Request) -> web.Response:
    house, login_id = request.app[HOUSE], _handle(request)
    return json_response(await verified(request, house, login_id))


async def verified(request: web.Request, house: House, login_id: UUID) -> dict[str, Any]:
    code = (await body(request, VerifyBody)).code
    done = await verify_code(house, login_id, code, request.headers.get("Idempotency-Key"))
    log.info("code_right", channel=done.channel)
    return signed_in(done)


async def resend(request: web.Request) -> web.Response:
    return json_response(await sent_again(request, request.app[HOUSE], _handle(request)), 202)


async def sent_again(request: web.Request, house: House, login_id: UUID) -> dict[str, Any]:
    channel = (await body(request, ResendBody)).channel if request.can_read_body else None
    found = await send_again(house, login_id, channel)
    log.info("code_sent_again", channel=channel)
    return status.view(house, found)


async def state(request: web.Request) -> web.Response:
    house = request.app[HOUSE]
    return json_response(status.view(house, await status.one(house, _handle(request))))


async def stream(request: web.Request) -> web.StreamResponse:
    """Server-sent events: one `state` whenever something changed, until the login ends."""
    house = request.app[HOUSE]

    def tell(found: Mapping[str, Any]) -> Word:
        shown = status.view(house, found)
        return Word(status.heard(shown), msgspec.json.encode(shown).decode(), status.ends(shown))

    return await follow(request, _handle(request), tell)


def signed_in(done: SignedIn) -> dict[str, Any]:
    fed = done.row["fed_by"] is not None
    return {
        "status": "signed_in",
        "token": done.token,
        "token_type": "Bearer",
        "login_id": done.row["login_id"],
        "expires_at": _ends(done.row, done.issued_at),
        "acr": events.strength(done.channel, fed),
        "amr": events.methods(done.channel, fed),
    }


def shown_at_once(house: House, found: Any) -> dict[str, Any] | None:
    """The answer with its token for a login that needed no code; a repetition within the code's life gives it again."""
    if found["state"] != "verified" or found["channel"] is not None or found["expires_at"] <= found["at"]:
        return None
    secret = house.mint.secret(found["login_id"], found["issued_at"], found["mint_key_id"])
    token = house.tokens.make(found["login_id"], found["issued_at"], secret)
    return signed_in(SignedIn(found, token, found["issued_at"], None))


def _ends(found: Any, issued_at: int) -> Any:
    seconds = found["session_seconds"]
    if found["audience"] == "gatepost":
        seconds = min(seconds, 12 * 3600)
    return datetime.fromtimestamp(issued_at + seconds, UTC)


def _handle(request: web.Request) -> UUID:
    """The login's handle: from the header, or from the path (`-` stands for the header there)."""
    given = request.headers.get(HEADER) or request.match_info["login"]
    try:
        return about(request.app[HOUSE].handles.read(given))
    except BadToken:
        metrics.FORGED.labels("handle").inc()
        raise Problem(404, "not-found", "There is no such login. Use the lg_ handle that the sign-in gave.") from None


def about(login_id: UUID) -> UUID:
    """From here on every line that this call logs names its login."""
    structlog.contextvars.bind_contextvars(login_id=str(login_id))
    return login_id


async def address_of(request: web.Request, given: LoginBody) -> str:
    """The address that wrong passwords are counted for; `context.ip` counts only from an authenticated client."""
    address = request.remote or ""
    if address in request.app[HOUSE].settings.trusted_proxies:
        hops = ",".join(request.headers.getall("X-Forwarded-For", [])).split(",")
        address = hops[-1].strip() or address
    if given.context.ip is not None and "Authorization" in request.headers:
        who = await authenticate(request)
        address = given.context.ip if isinstance(who, Client) else address
    return _network(address)


def _network(address: str) -> str:
    """IPv6 counts by /64: one subscriber holds at least that many."""
    try:
        parsed = ipaddress.ip_address(address)
    except ValueError:
        return "unknown"
    parsed = getattr(parsed, "ipv4_mapped", None) or parsed
    return str(ipaddress.ip_network((parsed, 64), strict=False)) if parsed.version == 6 else str(parsed)
