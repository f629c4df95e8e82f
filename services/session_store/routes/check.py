"""Forward auth for nginx, Traefik and Caddy: who is it that the proxy has before it? (docs/forward-auth.md)

No client credential is asked for: an answer says nothing that the token's own bearer does not hold already. A forged
token is refused by its MAC, a true one is answered from memory, and one that is dead and forgotten costs one look into
the database a second.
"""

from aiohttp import web

from services.platform.http import Problem, query
from services.session_store.forward_auth import BadWish, CheckQuery, Wanted, refusal, token_of, wanted, way_back
from services.session_store.store import STORE


def add_routes(app: web.Application) -> None:
    app.router.add_get("/v1/check", check)


async def check(request: web.Request) -> web.Response:
    """200 with who it is, 401 without a live session, 403 for another account, role or strength."""
    store, wish = request.app[STORE], _wanted(request)
    cookies = request.headers.getall("Cookie", [])
    alive = await store.alive(token_of(request.headers.get("Authorization", ""), cookies, store.cookie))
    if alive is None or alive.session.aud != "apps":
        raise _signed_out(request)
    session = alive.session
    if (why := refusal(session, wish)) is not None:
        raise Problem(403, "forbidden", why)
    headers = {
        "X-Gatepost-User": str(session.user_id),
        "X-Gatepost-Account": str(session.account_id),
        "X-Gatepost-Role": session.role,
        "Cache-Control": "no-store",
    }
    return web.Response(headers=headers)


def _wanted(request: web.Request) -> Wanted:
    try:
        return wanted(query(request, CheckQuery))
    except BadWish as bad:
        raise Problem(400, "bad-request", f"Query: {bad}.") from None


def _signed_out(request: web.Request) -> Problem:
    """`Gatepost-Return-To` is ready to stand behind `return_to=`: nginx cannot encode an address by itself."""
    headers = {"WWW-Authenticate": "Bearer"}
    if (back := way_back(request.headers)) is not None:
        headers["Gatepost-Return-To"] = back
    return Problem(401, "not-signed-in", "Sign in first.", headers)
