"""`/login/code`: the code, what became of it, and another way to get it. A reload shows, and sends nothing."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
import structlog
from aiohttp import web
from yarl import URL

from services.login_gateway import status
from services.login_gateway.pages.brands import brand_of
from services.login_gateway.pages.login import CODE, destination_of, signed_in_as
from services.login_gateway.pages.parts import PARTS, Parts
from services.login_gateway.pages.telling import told
from services.login_gateway.pages.visit import Visit
from services.login_gateway.resend import resend as send_again
from services.login_gateway.routes.following import Word, follow
from services.login_gateway.routes.logins import about, signed_in
from services.login_gateway.verify import SignedIn, verify_code
from services.platform.http import Problem, unavailable
from services.platform.postgres import AWAY
from services.platform.ui import forgery
from services.platform.ui.forgery import OldForm
from services.platform.ui.forms import form
from services.platform.ui.pages import fragment, kept, page, see_other

log = structlog.get_logger()

AGAIN: Final = "/login/code/again"
EVENTS: Final = "/login/events"
OLDER: Final = "Another sign-in was begun"


def add_routes(app: web.Application) -> None:
    app.router.add_get(CODE, ask)
    app.router.add_post(CODE, try_code)
    app.router.add_post(AGAIN, resend)
    app.router.add_get(EVENTS, events)


async def ask(request: web.Request) -> web.Response:
    """The login of this browser as it is now."""
    parts = request.app[PARTS]
    visit, login_id = _under_way(parts, request)
    if visit is None or login_id is None:
        return see_other("/login")
    found, to = await status.one(parts.house, login_id), destination_of(parts, visit.return_to)
    answer = page(
        request,
        "code.html",
        brand=await brand_of(request, str(found["account_id"])),
        said=visit.said,
        begin=begin_of(visit),
        go_on=to.address,
        older=OLDER,
        form_to=to.origin,
        **_shown(parts, visit, found),
    )
    return parts.visits.keep(answer, visit.silent())


async def try_code(request: web.Request) -> web.Response:
    """The same rule as `POST /v1/logins/{login}/verify`. The form's token is its key: sent twice, it opens one."""
    parts, visit, login_id, given = await _form(request)
    code, key = given.get("code", ""), given["form_token"]
    try:
        done = await _tried(parts, login_id, code, key)
    except Problem as problem:
        return parts.visits.keep(see_other(CODE), visit.answered(problem, code))
    log.info("code_right", channel=done.channel)
    return await signed_in_as(request, visit, signed_in(done), done.row["user_id"])


async def _tried(parts: Parts, login_id: UUID, code: str, key: str) -> SignedIn:
    if not code.strip():
        raise Problem(400, "bad-request", "Enter the code that we sent you.")
    try:
        return await verify_code(parts.house, login_id, code, key)
    except AWAY:
        raise unavailable(detail="We cannot check the code at the moment. Send it again in a few seconds.") from None


async def resend(request: web.Request) -> web.Response:
    """The same rule as `POST /v1/logins/{login}/resend`."""
    parts, visit, login_id, given = await _form(request)
    channel: Any = given.get("channel") if given.get("channel") in ("sms", "email") else None
    try:
        await send_again(parts.house, login_id, channel)
    except Problem as problem:
        return parts.visits.keep(see_other(CODE), visit.answered(problem))
    except AWAY:
        words = "We cannot send anything at the moment. Try again in a few seconds."
        return parts.visits.keep(see_other(CODE), visit.saying(words))
    log.info("code_sent_again", channel=channel)
    return parts.visits.keep(see_other(CODE), visit.silent())


async def events(request: web.Request) -> web.StreamResponse:
    """What the page shows of the login, whenever it changes; by the cookie, and only to our own pages."""
    parts = request.app[PARTS]
    forgery.by_own_script(request)
    visit, login_id = _under_way(parts, request)
    if visit is None or login_id is None:
        raise Problem(404, "not-found", "There is no sign-in under way in this browser.")

    def tell(found: Mapping[str, Any]) -> Word:
        shown = _shown(parts, visit, found)
        news, ways = (fragment(request, f"_{name}.html", **shown) for name in ("news", "ways"))
        text = msgspec.json.encode(
            {"open": shown["told"].open, "about": shown["form_token"], "news": news, "ways": ways}
        ).decode()
        return Word(shown["told"], text, not shown["told"].open)

    return await follow(request, login_id, tell)


def begin_of(visit: Visit) -> str:
    """Where one begins again, on the way to the same place."""
    asked = {name: value for name, value in (("account", visit.account), ("return_to", visit.return_to)) if value}
    return str(URL("/login").with_query(asked))


def _under_way(parts: Parts, request: web.Request) -> tuple[Visit | None, UUID | None]:
    visit = parts.visits.of(request)
    if visit is None or visit.login_id is None:
        return None, None
    return visit, about(visit.login_id)


async def _form(request: web.Request) -> tuple[Parts, Visit, UUID, dict[str, str]]:
    """A form about the login of this browser; one about another login, of another tab, is answered with why not."""
    parts, given = request.app[PARTS], await form(request)
    held = parts.visits.of(request)
    login_id = held.login_id if held is not None else None
    try:
        visit = parts.visit_of(request, given.get("form_token", ""), login_id)
    except OldForm:
        if held is None or login_id is None:
            raise
        raise await _older(request, held, login_id) from None
    if login_id is None:
        raise Problem(403, "foreign-form", "There is no sign-in under way in this browser. Start again.")
    return parts, visit, about(login_id), given


async def _older(request: web.Request, visit: Visit, login_id: UUID) -> web.HTTPException:
    """Nothing was tried: the cookie holds the login that was begun last."""
    newest = await status.one(request.app[PARTS].house, login_id)
    brand = await brand_of(request, str(newest["account_id"]))
    answer = page(request, "older.html", 409, brand=brand, older=OLDER, begin=begin_of(visit))
    return web.HTTPConflict(text=answer.text, content_type="text/html", headers=kept(answer))


def _shown(parts: Parts, visit: Visit, found: Mapping[str, Any]) -> dict[str, Any]:
    words = told(parts.house, found)
    return {
        "told": words,
        "form_token": parts.form_token(visit, visit.login_id),
        "resend_in": _seconds(words.resend_at, found["at"]),
        "expires_in": _seconds(words.expires_at, found["at"]),
    }


def _seconds(until: datetime | None, now: datetime) -> int:
    return max(0, round((until - now).total_seconds())) if until is not None else 0
