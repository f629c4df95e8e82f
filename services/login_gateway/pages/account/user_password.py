"""A user's password is set: typed twice, or made here and shown once. The rules are those of the API's call."""

import secrets
from typing import Final
from uuid import UUID

import structlog
from aiohttp import web

from services.login_gateway.pages.account import keeping, user_sessions
from services.login_gateway.pages.account.desk import DESK, of_refused, user_of
from services.login_gateway.pages.account.user_form import Values, version_of
from services.login_gateway.pages.account.user_sessions import USER
from services.login_gateway.postgres import users
from services.login_gateway.user_rows import UserView
from services.login_gateway.users import NewPassword
from services.platform.http import Problem
from services.platform.ui.console import CONSOLE, framed, sent, visitor

log = structlog.get_logger()

PASSWORD: Final = f"{USER}/password"
MADE_BYTES: Final = 15


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(PASSWORD, ask)
    router.add_post(PASSWORD, set_password)


async def ask(request: web.Request) -> web.Response:
    seen = await visitor(request)
    return _page(request, await user_of(request, seen))


async def set_password(request: web.Request) -> web.Response:
    """Answers with the page itself: whoever sets their own has no session any more that could show another."""
    try:
        seen, given = await sent(request)
        before = await user_of(request, seen)
        password = _chosen(before, given)
        admin, account_id = request.app[DESK].admin, UUID(seen.user.account_id)
        user = await users.set_password(admin, seen.user, account_id, str(before.user_id), NewPassword(password))
    except Problem as problem:
        return await _again(request, problem)
    log.info("password_set", user_id=str(user.user_id), effective=user.effective)
    return framed(
        request,
        "account/password_set.html",
        heading=user.name or user.username,
        user=user,
        made=password if given.get("then") == "made" else None,
        effective=await user_sessions.told(request, seen, str(user.user_id), user.effective or "now"),
        own=str(user.user_id) == seen.user.user_id,
        sign_in=request.app[CONSOLE].to_sign_in(USER.format(user=user.user_id), seen.person.account),
    )


def _chosen(user: UserView, given: Values) -> str:
    """Raises 412 and 422 for a form that was filled in wrongly, or sent before."""
    if version_of(given) != user.version:
        detail = (
            "Nothing was set: this user was changed since the page was shown, perhaps by sending it before. "
            "Look whether the password still has to be set."
        )
        raise Problem(412, "precondition-failed", detail)
    if given.get("then") == "made":
        return secrets.token_urlsafe(MADE_BYTES)
    password = given.get("password", "")
    if not password:
        raise Problem(422, "bad-password", "Type the new password, or have one made.", field="password")
    if password != given.get("password_again", ""):
        raise Problem(422, "bad-password", "The two are not the same: type both once more.", field="password_again")
    return password


async def _again(request: web.Request, problem: Problem) -> web.Response:
    _, user = await of_refused(request, problem)
    return _page(request, user, problem)


def _page(request: web.Request, user: UserView, problem: Problem | None = None) -> web.Response:
    heading = f"Set a password for {user.username}"
    return keeping.shown(request, "account/password.html", problem=problem, heading=heading, user=user)
