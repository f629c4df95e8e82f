"""A user's sessions: on what, since when; ending one, or all of them."""

import asyncio
from typing import Any, Final
from uuid import UUID

from aiohttp import web

from services.login_gateway.accounts import as_id
from services.login_gateway.pages.account.desk import DESK
from services.login_gateway.postgres.clearing import clear_user
from services.login_gateway.user_rows import UserView
from services.platform.http import Problem
from services.platform.keys.tokens import BadToken
from services.platform.ui.console import Visitor, sent
from services.platform.ui.pages import see_other

USER: Final = "/account/users/{user}"
EXPIRE: Final = f"{USER}/expire-sessions"
END: Final = f"{USER}/sessions/{{login_id}}/end"
PATIENCE: Final = 3.0
PAUSE: Final = 0.03
PROVED: Final = {
    "urn:gatepost:acr:pwd": "password",
    "urn:gatepost:acr:pwd+sms": "password and SMS",
    "urn:gatepost:acr:pwd+email": "password and e-mail",
    "urn:gatepost:acr:fed": "the platform",
    "urn:gatepost:acr:fed+sms": "the platform and SMS",
    "urn:gatepost:acr:fed+email": "the platform and e-mail",
}


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_post(EXPIRE, expire)
    router.add_post(END, end)


async def of(request: web.Request, seen: Visitor, user: UserView) -> dict[str, Any]:
    """For the page of the user; it is shown without them too."""
    desk, cursor = request.app[DESK], as_id(request.query.get("sessions", ""))
    try:
        found = await desk.store.of_user(seen.token, seen.user.account_id, str(user.user_id), cursor)
    except Problem as problem:
        return {"away": problem.detail, "all": [], "cursor": None, "own": None, "proved": PROVED}
    return {
        "away": None,
        "all": found.sessions,
        "cursor": found.cursor if len(found.sessions) == 20 else None,
        "own": _own(request, seen),
        "proved": PROVED,
    }


async def end(request: web.Request) -> web.Response:
    """*End this session*."""
    seen, _ = await sent(request)
    user, login_id = (as_id(request.match_info[name]) for name in ("user", "login_id"))
    if user is None or login_id is None:
        raise Problem(404, "not-found", "There is no such session.")
    await request.app[DESK].store.end(seen.token, login_id)
    return see_other(f"{USER.format(user=user)}?done=ended")


async def expire(request: web.Request) -> web.Response:
    """*Force sessions to expire*."""
    seen, _ = await sent(request)
    user = request.match_info["user"]
    effective = await clear_user(request.app[DESK].admin, seen.user, seen.user.account_id, user)
    return see_other(f"{USER.format(user=user)}?done=expired-{await told(request, seen, user, effective)}")


async def told(request: web.Request, seen: Visitor, user: str, effective: str) -> str:
    """`now` once the session store's list shows it too, so that the page that follows is true."""
    desk, clock = request.app[DESK], request.app[DESK].house.clock
    deadline = clock.monotonic() + PATIENCE
    while effective == "now" and clock.monotonic() < deadline:
        try:
            if (await desk.store.count(seen.token, seen.user.account_id, user)).count == 0:
                return "now"
        except Problem:
            return effective  # their own session is over with the others, or the list cannot be had
        await asyncio.sleep(PAUSE)
    return "queued"


def _own(request: web.Request, seen: Visitor) -> UUID | None:
    """The session of this very browser."""
    try:
        return request.app[DESK].house.tokens.read(seen.token).login_id
    except BadToken:
        return None
