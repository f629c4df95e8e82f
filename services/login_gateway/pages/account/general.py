"""Account Settings > Advanced > General: how long a login session lasts, and clearing all of them."""

import asyncio
from collections.abc import Mapping
from typing import Final

import msgspec
import structlog
from aiohttp import web

from services.login_gateway import lengths
from services.login_gateway.accounts import AccountView, EditAccount, EditSettings
from services.login_gateway.lengths import Ending, as_form, in_words, of_form
from services.login_gateway.pages.account import keeping
from services.login_gateway.pages.account.desk import DESK, Desk
from services.login_gateway.postgres import accounts
from services.login_gateway.postgres.clearing import clear_account
from services.login_gateway.session_calls import Counted
from services.platform.auth import INTROSPECT
from services.platform.http import Problem
from services.platform.ui.console import CONSOLE, Visitor, sent, typed, visitor
from services.platform.ui.pages import page, see_other

log = structlog.get_logger()

GENERAL: Final = "/account/general"
CLEAR: Final = "/account/general/clear"
CLEARED: Final = "/account/cleared"
DONE: Final = {
    "saved-now": "Saved: it counts from now on.",
    "saved-queued": "Saved: it counts from now on, as soon as the session store hears of it.",
}
PATIENCE: Final = 5.0
PAUSE: Final = 0.01


class Told(msgspec.Struct, frozen=True):
    """What clearing all sessions did: how many there were, and after how many seconds ours was refused."""

    account: str
    before: Counted | None
    seconds: float | None


NOT_ITS_NAME: Final = Problem(
    400, "not-confirmed", "That is not the account's name: type it as it stands here.", field="confirm"
)


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(GENERAL, show)
    router.add_post(GENERAL, save)
    router.add_get(CLEAR, back)
    router.add_post(CLEAR, clear)
    router.add_get(CLEARED, cleared)


async def show(request: web.Request) -> web.Response:
    """`?amount=&unit=`: with what another length would do."""
    seen = await visitor(request)
    return await _page(request, seen, {**request.query, **(keeping.typed_before(request) or {})})


async def save(request: web.Request) -> web.Response:
    try:
        seen, given = await sent(request)
        edit = EditAccount(settings=EditSettings(session_seconds=_asked(given)))
        saved = await accounts.change(request.app[DESK].admin, seen.user, seen.user.account_id, edit)
    except Problem as problem:
        return await _again(request, problem)
    return see_other(f"{GENERAL}?done=saved-{saved.effective or 'now'}")


async def clear(request: web.Request) -> web.Response:
    """*Clear all login sessions*: the administrator's own too, and that is how its effect is measured."""
    desk = request.app[DESK]
    try:
        seen, given = await sent(request)
        before = await _count(desk, seen)
        started = desk.house.clock.monotonic()
        await clear_account(desk.admin, seen.user, seen.user.account_id, given.get("confirm", "").strip())
    except Problem as problem:
        return await _again(request, NOT_ITS_NAME if problem.name == "not-confirmed" else problem)
    seconds = await _until_refused(request, seen, started)
    log.info("all_sessions_cleared", seconds=seconds)
    told = Told(seen.person.account, before, seconds)
    sealed = desk.sealed("cleared", msgspec.json.encode(told).decode())
    return see_other(f"{CLEARED}?told={sealed}")


async def back(request: web.Request) -> web.Response:
    """The form that was refused is shown at its own address: whoever comes back to that one goes on to the page."""
    await visitor(request)
    return see_other(GENERAL)


async def cleared(request: web.Request) -> web.Response:
    """For whoever just cleared all sessions, and so has none: what is told is sealed."""
    text = request.app[DESK].opened("cleared", request.query.get("told", ""))
    if text is None:
        return see_other(GENERAL)
    told = msgspec.json.decode(text, type=Told)
    again = request.app[CONSOLE].to_sign_in(GENERAL, told.account)
    return page(request, "account/cleared.html", told=told, sign_in=again)


async def _until_refused(request: web.Request, seen: Visitor, started: float) -> float | None:
    """Seconds until the session store refused this browser's own session; None where it did not say so in time."""
    clock, introspect = request.app[DESK].house.clock, request.app[INTROSPECT]
    while (spent := clock.monotonic() - started) < PATIENCE:
        try:
            if await introspect(seen.token) is None:
                return clock.monotonic() - started
        except Problem:
            log.info("session_store_silent", seconds=round(spent, 2))
        await asyncio.sleep(PAUSE)
    return None


async def _again(request: web.Request, problem: Problem) -> web.Response:
    if (given := typed(request)) == {}:
        raise problem
    return await _page(request, await visitor(request), given, problem)


async def _page(
    request: web.Request, seen: Visitor, given: Mapping[str, str], problem: Problem | None = None
) -> web.Response:
    desk = request.app[DESK]
    account = await accounts.one(desk.admin, seen.user, seen.user.account_id)
    now = account.settings.session_seconds
    preview, refused = await _preview(desk, seen, account, given)
    return keeping.shown(
        request,
        "account/general.html",
        given=given if problem is not None else None,
        problem=problem,
        hint=refused,
        at=GENERAL,
        heading="General",
        account=account,
        in_force=in_words(now),
        values={**as_form(now), **{name: given[name] for name in ("amount", "unit") if given.get(name)}},
        preview=preview,
        confirm=given.get("confirm", ""),
        open=await _count(desk, seen),
        done=DONE.get(given.get("done", "")) if problem is None else None,
    )


async def _preview(
    desk: Desk, seen: Visitor, account: AccountView, given: Mapping[str, str]
) -> tuple[str | None, Problem | None]:
    """What the length that is asked about would do; or why it cannot be one."""
    if "amount" not in given:
        return None, None
    try:
        seconds = _asked(given)
    except Problem as problem:
        return None, problem
    now = account.settings.session_seconds
    found = await _count(desk, seen, seconds) if seconds < now else None
    return lengths.preview(seconds, now, Ending(found.count, found.capped) if found is not None else None), None


def _asked(given: Mapping[str, str]) -> int:
    return of_form(given.get("amount", "").strip(), given.get("unit", ""))


async def _count(desk: Desk, seen: Visitor, older_than: int = 0) -> Counted | None:
    """None where the session store cannot tell."""
    try:
        return await desk.store.count(seen.token, seen.user.account_id, older_than=older_than)
    except Problem:
        return None
