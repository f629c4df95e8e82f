"""Gatepost's own consoles: who is signed in, what their role lets them do, forms of our own pages, the frame of a page.

A page begins with `visitor`, a form with `sent`, and both answer with `framed`. Whoever may not go on is led away
before the handler sees them: to the sign-in and back, or to a page that says why. Rights are those of the calls of the
API that a page stands for; the cookie's token is introspected as a bearer token is.
"""

from __future__ import annotations

import base64
import hmac
from collections.abc import Awaitable, Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, Final, NamedTuple
from urllib.parse import urlsplit

from aiohttp import web
from yarl import URL

from services.platform import cookies
from services.platform.auth import INTROSPECT, Right, User, allow
from services.platform.http import Problem
from services.platform.postgres import AWAY
from services.platform.ui import forgery
from services.platform.ui.forms import form
from services.platform.ui.pages import kept, page

FORM_TOKEN: Final = "form_token"  # noqa: S105 - a field's name
OLD: Final = "This form is older than your sign-in: look at it and send it again."
STALE: Final = "This needs a sign-in younger than 15 minutes. Sign in again, then send it once more."
Address = tuple[str, str]
"""Method and path pattern, as in a who table."""
Read = Callable[[web.Request], Awaitable[dict[str, str]]]


class Link(NamedTuple):
    address: str
    label: str


class Person(NamedTuple):
    """How the frame names who is signed in, and where. `account` is asked for at the sign-in."""

    name: str
    place: str
    account: str = ""


@dataclass(frozen=True)
class Console:
    """`pages`: each page and form, and the row of the who table that it answers to.

    `sign_in` is the gateway's public URL where the sign-in stands on another origin than the console; `for_whom` says
    to all others whose console it is. `account_of` names the account of a token that is over, where that is known, so
    that nobody is asked for it again.
    """

    home: str
    name: str
    for_whom: str
    links: tuple[Link, ...]
    pages: Mapping[Address, Right]
    public_url: str
    person: Callable[[User], Awaitable[Person]]
    sign_in: str = ""
    account_of: Callable[[str], Awaitable[str]] | None = None

    def to_sign_in(self, back: str, account: str = "") -> str:
        """The sign-in that leads back to that page of the console."""
        return self._at_sign_in("/login", back, account)

    def to_sign_out(self) -> str:
        return self._at_sign_in("/login/out", self.home)

    def _at_sign_in(self, path: str, back: str, account: str = "") -> str:
        back = f"{self.public_url.rstrip('/')}{back}" if self.sign_in else back
        if len(back) > cookies.LONGEST_WAY_BACK:
            back = back.partition("?")[0]  # better the page without its query than a sign-in that refuses to begin
        asked = {"account": account, "return_to": back} if account else {"return_to": back}
        return f"{self.sign_in.rstrip('/')}{URL(path).with_query(asked)}"


class Visitor(NamedTuple):
    """Who is signed in. The token of the cookie is what the tokens of forms are made of."""

    user: User
    person: Person
    token: str

    def __repr__(self) -> str:
        return f"Visitor({self.user.name})"


CONSOLE: Final[web.AppKey[Console]] = web.AppKey("console", Console)
VISITOR: Final = web.RequestKey("visitor", Visitor)
TYPED: Final = web.RequestKey("typed", dict)


async def visitor(request: web.Request) -> Visitor:
    """Who is signed in with a role that may see this page. Nobody: to the sign-in, and back to where they were."""
    console, token = request.app[CONSOLE], request.cookies.get(cookies.CONSOLE, "")
    user = await request.app[INTROSPECT](token) if token and token.isascii() else None
    if user is None:
        account = await console.account_of(token) if console.account_of is not None else ""
        raise _elsewhere(request, console.to_sign_in(_way_back(request), account))
    found = request[VISITOR] = Visitor(user, await console.person(user), token)
    if user.role not in _right(request).roles:
        answer = framed(request, "wrong_role.html", 403, heading="This console is not for you")
        raise web.HTTPForbidden(text=answer.text, content_type="text/html", headers=kept(answer))
    return found


async def sent(request: web.Request, read: Read = form) -> tuple[Visitor, dict[str, str]]:
    """Who sent a form of ours, and its fields as `read` finds them.

    Raises 403 `foreign-form`, 401 `fresh-sign-in-required` where the who table asks for it; `typed` has the fields then
    too, so that the page can show them again.
    """
    forgery.from_own_page(request, request.app[CONSOLE].public_url)
    try:
        found = await visitor(request)
    except (Problem, *AWAY):
        await _keep(request, read)
        raise
    given = await read(request)
    check(request, found, given)
    return found, given


async def _keep(request: web.Request, read: Read) -> None:
    """What was typed, for the page that says that it could not be taken. A file is not read for that."""
    if read is form:
        with suppress(Problem):
            await form(request)


def check(request: web.Request, found: Visitor, given: dict[str, str]) -> None:
    """Whether fields are from a form of ours, whose sender may send it now."""
    token = given.pop(FORM_TOKEN, "")
    request[TYPED] = given
    if not hmac.compare_digest(token.encode(errors="replace"), form_token(found).encode()):
        raise Problem(403, "foreign-form", OLD, link=Link(_way_back(request), "Back to the page"))
    if _right(request).fresh:
        ask_fresh(request, found.user)


def ask_fresh(request: web.Request, user: User) -> None:
    """Raises 401 `fresh-sign-in-required`, with the way to it."""
    if not is_fresh(user):
        raise Problem(401, "fresh-sign-in-required", STALE, link=again(request))


def again(request: web.Request) -> Link:
    """The way to a fresh sign-in and back."""
    address = request.app[CONSOLE].to_sign_in(_way_back(request), request[VISITOR].person.account)
    return Link(address, "Sign in again")


def is_fresh(user: User) -> bool:
    try:
        allow(user, Right(frozenset(), frozenset((user.role,)), fresh=True))
    except Problem:
        return False
    return True


def typed(request: web.Request) -> dict[str, str]:
    """What a form of ours held, also one that was refused."""
    found: dict[str, str] = request.get(TYPED, {})
    return found


def form_token(found: Visitor) -> str:
    """Bound to the session, by the one secret that only this browser and the session store know."""
    mac = hmac.digest(found.token.encode(), b"gatepost console form", "sha256")
    return base64.urlsafe_b64encode(mac).decode().rstrip("=")


def framed(request: web.Request, template: str, status: int = 200, **context: Any) -> web.Response:
    """A page in the console's frame. The template extends `console.html` and gets `heading` for title and headline."""
    console, found = request.app[CONSOLE], request[VISITOR]
    frame = {
        "console": console,
        "person": found.person,
        "role": found.user.role,
        "form_token": form_token(found),
        "current": _current(console, request.path),
        "sign_out": console.to_sign_out(),
        "sign_in_again": again(request).address,
        "fresh": is_fresh(found.user),
    }
    return page(request, template, status, form_to=console.sign_in, **(frame | context))


def _right(request: web.Request) -> Right:
    """Raises `KeyError` for a page that its console's table does not name: a mistake of ours."""
    resource = request.match_info.route.resource
    method = "GET" if request.method == "HEAD" else request.method
    return request.app[CONSOLE].pages[method, resource.canonical if resource is not None else ""]


def _current(console: Console, path: str) -> str:
    """The link that a page stands below."""
    links = [link.address for link in console.links]
    below = [each for each in links if path == each or (each != console.home and path.startswith(f"{each}/"))]
    return max(below, key=len, default="")


def _way_back(request: web.Request) -> str:
    """This page; for a form the page that it stands on."""
    if request.method in ("GET", "HEAD"):
        return str(request.rel_url)
    console, page_of_form = request.app[CONSOLE], urlsplit(request.headers.get("Referer", ""))
    own = {request.host.lower(), urlsplit(console.public_url).netloc.lower()}
    if page_of_form.netloc.lower() not in own or not f"{page_of_form.path}/".startswith(f"{console.home}/"):
        return console.home
    return f"{page_of_form.path}?{page_of_form.query}" if page_of_form.query else page_of_form.path


def _elsewhere(request: web.Request, address: str) -> web.HTTPException:
    """A part of a page that htmx asks for is left with the whole page."""
    if "HX-Request" in request.headers:
        return web.HTTPOk(headers={"HX-Redirect": address, "Cache-Control": "no-store"})
    return web.HTTPSeeOther(address, headers={"Cache-Control": "no-store"})
