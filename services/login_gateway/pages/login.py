"""`/login`: username and password, and what comes after a sign-in. Parse, call one rule, send the browser on."""

import uuid
from collections.abc import Mapping
from typing import Any, Final

import msgspec
import structlog
from aiohttp import web
from yarl import URL

from services.login_gateway import login
from services.login_gateway.pages.brands import brand_of
from services.login_gateway.pages.destination import DONE, Destination, destination
from services.login_gateway.pages.devices import device_of
from services.login_gateway.pages.parts import PARTS, Parts
from services.login_gateway.pages.visit import Visit
from services.login_gateway.password_step import LoginBody, LoginContext
from services.login_gateway.routes.logins import address_of, shown_at_once
from services.platform.http import Problem, unavailable
from services.platform.postgres import AWAY
from services.platform.ui.forms import form
from services.platform.ui.pages import page, see_other

log = structlog.get_logger()

CODE: Final = "/login/code"
OUT: Final = "/login/out"


def add_routes(app: web.Application) -> None:
    app.router.add_get("/login", ask)
    app.router.add_post("/login", sign_in)
    app.router.add_get(DONE, done)
    app.router.add_get(OUT, ask_out)
    app.router.add_post(OUT, sign_out)


async def ask(request: web.Request) -> web.Response:
    """`?account=&return_to=`: the form. It sends nothing by itself, and says what the last one was answered."""
    parts = request.app[PARTS]
    to = destination_of(parts, request.query.get("return_to", ""))
    visit = parts.visits.of(request) or parts.visits.new()
    account = request.query.get("account", "")[:64]
    brand = await brand_of(request, account)
    answer = page(
        request,
        "login.html",
        form_to=to.origin,
        brand=brand,
        account=account,
        return_to=to.asked,
        said=visit.said,
        form_token=parts.form_token(visit),
        once=uuid.uuid4(),
    )
    return parts.visits.keep(answer, visit.silent())


async def sign_in(request: web.Request) -> web.Response:
    parts, given = request.app[PARTS], await form(request)
    visit = parts.visit_of(request, given.get("form_token", ""))
    to = destination_of(parts, given.get("return_to", ""))
    visit = msgspec.structs.replace(visit, account=given.get("account", "")[:64], return_to=to.asked)
    try:
        found = await _opened(request, parts, given, to)
    except Problem as problem:
        return _again(parts, visit, problem, given.get("username", ""))
    if (signed_in := shown_at_once(parts.house, found)) is not None:
        return await signed_in_as(request, visit, signed_in, found["user_id"])
    opened = msgspec.structs.replace(visit, login_id=found["login_id"], said=None)
    return parts.visits.keep(see_other(CODE), opened)


async def _opened(request: web.Request, parts: Parts, given: Mapping[str, str], to: Destination) -> Mapping[str, Any]:
    """The same rule as `POST /v1/logins`; the form's own key makes a form that is sent twice one login."""
    if not given.get("username") or not given.get("password"):
        raise Problem(400, "bad-request", "Enter your username and your password.")
    context = LoginContext(device_id=device_of(request.headers.get("User-Agent", "")))
    account = given.get("account", "").strip() or None
    wanted = LoginBody(given["username"], given["password"], account, to.audience, context)
    try:
        address = await address_of(request, wanted)
        found = await login.sign_in(parts.house, wanted, address, given.get("once") or None)
    except AWAY:
        raise unavailable(detail="We cannot look anything up at the moment. Nothing was sent.") from None
    log.info("login_opened", login_id=str(found["login_id"]), code_required=bool(found["channels"]))
    return found


def _again(parts: Parts, visit: Visit, problem: Problem, typed: str) -> web.Response:
    asked = {name: value for name, value in (("account", visit.account), ("return_to", visit.return_to)) if value}
    return parts.visits.keep(see_other(str(URL("/login").with_query(asked))), visit.answered(problem, typed))


def destination_of(parts: Parts, asked: str) -> Destination:
    settings = parts.house.settings
    return destination(asked, settings.public_url, settings.return_origins)


async def signed_in_as(
    request: web.Request, visit: Visit, signed_in: Mapping[str, Any], user_id: uuid.UUID
) -> web.Response:
    """The session's cookie; the session that the browser had before ends."""
    parts, to = request.app[PARTS], destination_of(request.app[PARTS], visit.return_to)
    await _end_before(request, parts, to.audience, signed_in["login_id"])
    await _end_of_others(request, parts, to.audience, user_id)
    name, domain = parts.cookie_for(to.audience)
    seconds = int((signed_in["expires_at"] - parts.house.clock.now()).total_seconds())
    answer = see_other(to.address)
    answer.set_cookie(
        name,
        signed_in["token"],
        max_age=max(1, seconds),
        domain=domain,
        path="/",
        secure=True,
        httponly=True,
        samesite="Lax",
    )
    return parts.visits.keep(answer, visit.silent())  # another tab of this sign-in sees that it is complete


async def _end_before(request: web.Request, parts: Parts, audience: str, login_id: uuid.UUID) -> None:
    before = parts.token_of(request, audience)
    if before is not None and before[1].login_id != login_id and parts.sessions is not None:
        await parts.sessions.revoke(before[0])


async def _end_of_others(request: web.Request, parts: Parts, audience: str, user_id: uuid.UUID) -> None:
    """Whoever signs in to an application must not find the console of the one before open, nor the other way round."""
    other = parts.token_of(request, "apps" if audience == "gatepost" else "gatepost")
    if other is not None and parts.sessions is not None:
        whose = await parts.sessions.whose(other[0])
        if whose is not None and whose != str(user_id):
            await parts.sessions.revoke(other[0])


async def done(request: web.Request) -> web.Response:
    """Where one lands who was not on the way to anywhere."""
    parts = request.app[PARTS]
    if all(parts.token_of(request, audience) is None for audience in ("apps", "gatepost")):
        return see_other("/login")
    return page(request, "done.html", brand=await brand_of(request, ""))


async def ask_out(request: web.Request) -> web.Response:
    """`?return_to=`: a button, since a mere link must not sign anybody out."""
    parts = request.app[PARTS]
    to = destination_of(parts, request.query.get("return_to", ""))
    visit = parts.visits.of(request) or parts.visits.new()
    answer = page(
        request,
        "out.html",
        form_to=to.origin,
        brand=await brand_of(request, ""),
        signed_in=any(parts.token_of(request, audience) for audience in ("apps", "gatepost")),
        return_to=to.asked,
        said=visit.said,
        form_token=parts.form_token(visit, OUT),
    )
    return parts.visits.keep(answer, visit.silent())


async def sign_out(request: web.Request) -> web.Response:
    """Ends the browser's sessions everywhere, then forgets them here: in this order, so that one can try again."""
    parts, given = request.app[PARTS], await form(request)
    visit = parts.visit_of(request, given.get("form_token", ""), OUT)
    to = destination_of(parts, given.get("return_to", ""))
    held = [(audience, found) for audience in ("apps", "gatepost") if (found := parts.token_of(request, audience))]
    for _, (text, _token) in held:
        if parts.sessions is None or not await parts.sessions.revoke(text):
            words = "You are still signed in: we could not end your session at the moment. Try again in a few seconds."
            return parts.visits.keep(see_other(OUT), visit.saying(words))
    answer = see_other(to.address if to.asked else OUT)
    parts.visits.forget(answer)
    for audience, _ in held:
        name, domain = parts.cookie_for(audience)
        answer.del_cookie(name, domain=domain, path="/", secure=True, httponly=True, samesite="Lax")
    return answer
