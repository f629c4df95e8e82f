"""A user is deleted, once their username was typed. It says before what that ends."""

from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from services.login_gateway.pages.account import keeping, user_sessions
from services.login_gateway.pages.account.desk import DESK, of_refused, user_of
from services.login_gateway.pages.account.user_form import Values
from services.login_gateway.pages.account.user_sessions import USER
from services.login_gateway.pages.account.users import LIST
from services.login_gateway.postgres import users
from services.login_gateway.session_calls import Counted
from services.login_gateway.user_rows import UserView
from services.platform.http import Problem
from services.platform.ui.console import Visitor, sent, typed, visitor
from services.platform.ui.pages import see_other

log = structlog.get_logger()

DELETE: Final = f"{USER}/delete"


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(DELETE, ask)
    router.add_post(DELETE, delete)


async def ask(request: web.Request) -> web.Response:
    seen = await visitor(request)
    user = await user_of(request, seen)
    return await _page(request, seen, user, keeping.typed_before(request) or {})


async def delete(request: web.Request) -> web.Response:
    try:
        seen, given = await sent(request)
        user = await user_of(request, seen)
        if given.get("confirm", "").strip() != user.username:
            detail = "That is not the username: type it as it stands here."
            raise Problem(400, "not-confirmed", detail, field="confirm")
        admin, user_id = request.app[DESK].admin, str(user.user_id)
        effective = await users.delete(admin, seen.user, UUID(seen.user.account_id), user_id)
    except Problem as problem:
        return await _again(request, problem)
    log.info("user_deleted", user_id=user_id, effective=effective)
    return see_other(f"{LIST}?done=deleted-{await user_sessions.told(request, seen, user_id, effective)}")


async def _again(request: web.Request, problem: Problem) -> web.Response:
    seen, user = await of_refused(request, problem)
    return await _page(request, seen, user, typed(request), problem)


async def _page(
    request: web.Request, seen: Visitor, user: UserView, given: Values, problem: Problem | None = None
) -> web.Response:
    return keeping.shown(
        request,
        "account/delete.html",
        given=given if problem is not None else None,
        problem=problem,
        heading=f"Delete {user.username}?",
        user=user,
        confirm=given.get("confirm", ""),
        open=await _open(request, seen, user),
        own=str(user.user_id) == seen.user.user_id,
    )


async def _open(request: web.Request, seen: Visitor, user: UserView) -> Counted | None:
    """The user's sessions; None where the session store cannot tell."""
    try:
        return await request.app[DESK].store.count(seen.token, seen.user.account_id, str(user.user_id))
    except Problem:
        return None
