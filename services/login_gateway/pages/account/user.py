"""One user: what is on file, how they sign in, their sessions. The same rules as the API's calls."""

from typing import Any, Final
from uuid import UUID

import structlog
from aiohttp import web

from services.login_gateway.pages.account import keeping, user_sessions
from services.login_gateway.pages.account.desk import DESK, Desk, user_of
from services.login_gateway.pages.account.user_form import (
    BLANK,
    KINDS,
    ROLES,
    Values,
    differing,
    edit_of,
    new_of,
    of_user,
    sentence,
    version_of,
)
from services.login_gateway.postgres import auditing, users
from services.login_gateway.user_rows import UserView
from services.platform.http import Problem, unavailable
from services.platform.postgres import AWAY
from services.platform.ui.console import Visitor, sent, typed, visitor
from services.platform.ui.pages import fragment, see_other

log = structlog.get_logger()

NEW: Final = "/account/users/new"
ONE: Final = "/account/users/{user}"
UNLOCK: Final = f"{ONE}/unlock"
EXPERIENCE: Final = "/account/users/experience"
DONE: Final = {
    "added": "The user is there.",
    "saved": "Saved. No session ended by it.",
    "saved-now": "Saved. All sessions of this user are over: they have to sign in again.",
    "saved-queued": "Saved. Their sessions end as soon as the session store can be reached; nothing more is to do.",
    "unlocked": "Unlocked: the wrong codes and passwords are forgotten.",
    "ended": "That session is over.",
    "expired-now": "All sessions of this user are over.",
    "expired-queued": "Their sessions end as soon as the session store can be reached; nothing more is to do.",
}


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(NEW, ask_new)
    router.add_post(NEW, add)
    router.add_post(EXPERIENCE, tell_experience)
    router.add_get(ONE, show)
    router.add_post(ONE, save)
    router.add_post(UNLOCK, unlock)


async def ask_new(request: web.Request) -> web.Response:
    await visitor(request)
    return _new_page(request, keeping.typed_before(request) or BLANK)


async def add(request: web.Request) -> web.Response:
    try:
        seen, given = await sent(request)
        made = await _tried(users.create(request.app[DESK].admin, seen.user, _account(seen), new_of(given)))
    except Problem as problem:
        return _new_page(request, typed(request), problem)
    log.info("user_added", user_id=str(made.user_id))
    return see_other(f"{_at(made.user_id)}?done=added")


async def show(request: web.Request) -> web.Response:
    """`?done=`: what the last form did."""
    seen = await visitor(request)
    user = await user_of(request, seen)
    return await _page(request, seen, user, keeping.typed_before(request) or of_user(user))


async def save(request: web.Request) -> web.Response:
    """*Save*, and *Save and force login*. Whoever saves over somebody else's change is told of it first."""
    admin, user = request.app[DESK].admin, request.match_info["user"]
    try:
        seen, given = await sent(request)
        edit, version = edit_of(given), version_of(given)
        saved = await _tried(users.change(admin, seen.user, _account(seen), user, edit, version))
    except Problem as problem:
        return await _again(request, problem)
    log.info("user_saved", user_id=str(saved.user_id), effective=saved.effective)
    if saved.effective is None:
        return see_other(f"{_at(saved.user_id)}?done=saved")
    effective = await user_sessions.told(request, seen, user, saved.effective)
    return see_other(f"{_at(saved.user_id)}?done=saved-{effective}")


async def unlock(request: web.Request) -> web.Response:
    seen, _ = await sent(request)
    user = await users.unlock(request.app[DESK].admin, seen.user, _account(seen), request.match_info["user"])
    return see_other(f"{_at(user.user_id)}?done=unlocked")


async def tell_experience(request: web.Request) -> web.Response:
    """The sentence for the form as it stands; nothing is written."""
    _, given = await sent(request)
    return web.Response(
        text=fragment(request, "account/_experience.html", sentence=sentence(given)), content_type="text/html"
    )


async def _again(request: web.Request, problem: Problem) -> web.Response:
    """The form with what was typed, and what was wrong with it."""
    if (given := typed(request)) == {}:
        raise problem
    seen = await visitor(request)
    user = await user_of(request, seen)
    if problem.status != 412:
        return await _page(request, seen, user, given, problem)
    told = await _clash(request.app[DESK], seen, user, given)
    return await _page(request, seen, user, {**given, "version": str(user.version)}, problem, clash=told)


async def _clash(desk: Desk, seen: Visitor, user: UserView, given: Values) -> dict[str, Any]:
    """Who was faster, and what is on file now."""
    last = await auditing.last(desk.admin, _account(seen), str(user.user_id))
    began = version_of(given)
    return {"last": last, "began": began, "now": user.version, "beside": differing(given, user)}


async def _page(
    request: web.Request,
    seen: Visitor,
    user: UserView,
    values: Values,
    problem: Problem | None = None,
    clash: dict[str, Any] | None = None,
) -> web.Response:
    sessions = await user_sessions.of(request, seen, user)
    return keeping.shown(
        request,
        "account/user.html",
        given=values if problem is not None else None,
        problem=problem,
        heading=user.name or user.username,
        user=user,
        values=values,
        clash=clash,
        sentence=sentence(values),
        done=DONE.get(request.query.get("done", "")) if problem is None else None,
        sessions=sessions,
        roles=ROLES | ({} if user.role in ROLES else {user.role: user.role.capitalize()}),
        kinds=KINDS,
    )


def _new_page(request: web.Request, values: Values, problem: Problem | None = None) -> web.Response:
    if problem is not None and not values:
        raise problem
    return keeping.shown(
        request,
        "account/new_user.html",
        given=values if problem is not None else None,
        problem=problem,
        heading="Add a user",
        values=values,
        clash=None,
        sentence=sentence(values),
        roles=ROLES,
        kinds=KINDS,
    )


async def _tried(writing: Any) -> UserView:
    """With the database away nothing is lost: the form is shown again."""
    try:
        found: UserView = await writing
    except AWAY:
        raise unavailable(detail="Nothing was saved: the database does not answer.") from None
    return found


def _account(seen: Visitor) -> UUID:
    return UUID(seen.user.account_id)


def _at(user_id: UUID) -> str:
    return ONE.format(user=user_id)
