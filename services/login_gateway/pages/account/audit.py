"""The audit: who did what to whom. People are named in addresses by their ids only."""

from collections.abc import Mapping
from typing import Any, Final
from uuid import UUID

from aiohttp import web
from yarl import URL

from services.login_gateway.pages.account.desk import DESK
from services.login_gateway.postgres import auditing, people
from services.login_gateway.postgres.auditing import Wanted
from services.platform.ui.console import framed, visitor

AUDIT: Final = "/account/audit"
PAGE: Final = 50
ACTIONS: Final = {
    "user.created": "User added",
    "user.changed": "User changed",
    "user.unlocked": "User unlocked",
    "user.deleted": "User deleted",
    "sessions.expired": "A user's sessions ended",
    "sessions.all-expired": "All login sessions cleared",
    "account.created": "Account made",
    "account.changed": "Settings changed",
    "account.brand": "Sign-in page changed",
    "client.created": "Client made",
    "client.changed": "Client changed",
}


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(AUDIT, show)


async def show(request: web.Request) -> web.Response:
    """`?action=&who=&about=&before=`"""
    seen, admin = await visitor(request), request.app[DESK].admin
    account_id, asked = UUID(seen.user.account_id), _asked(request.query)
    wanted = Wanted(asked.get("who"), asked.get("action"), asked.get("about"))
    before = _number(request.query.get("before", ""))
    lines, cursor = await auditing.page(admin, account_id, wanted, before, PAGE)
    ids = [asked.get("who", "").removeprefix(auditing.USER), asked.get("about", "")]
    at = URL(AUDIT).with_query(asked)
    return framed(
        request,
        "account/audit.html",
        heading="Audit",
        lines=lines,
        actions=ACTIONS,
        asked=asked,
        names=await people.names(admin.pool, account_id, ids),
        told=told,
        narrowed=lambda **more: str(at.update_query(more)),
        without=lambda name: str(URL(AUDIT).with_query({key: each for key, each in asked.items() if key != name})),
        first=str(at) if before else None,
        further=str(at.update_query(before=cursor)) if cursor else None,
    )


def told(details: Mapping[str, Any]) -> str:
    """What a line says beside who and what: names of fields, or what a setting was and is."""
    if "fields" in details:
        return ", ".join(str(each).replace("_", " ") for each in details["fields"])
    return "; ".join(f"{name.replace('_', ' ')}: {_value(value)}" for name, value in details.items())


def _value(value: Any) -> str:
    if isinstance(value, list) and len(value) == 2:
        return f"{value[0]} → {value[1]}"
    return ", ".join(str(each) for each in value) if isinstance(value, list) else str(value)


def _asked(query: Mapping[str, str]) -> dict[str, str]:
    return {name: query[name][:100] for name in ("who", "action", "about") if query.get(name)}


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 19 else None
