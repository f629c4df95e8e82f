"""Who is outside two-factor authentication: people who sign in by the password alone, and integration users."""

from typing import Final
from uuid import UUID

from aiohttp import web
from yarl import URL

from services.login_gateway.accounts import as_id
from services.login_gateway.pages.account.desk import DESK
from services.login_gateway.postgres import reports
from services.login_gateway.users import Kind
from services.platform.ui.console import framed, visitor

OUTSIDE: Final = "/account/outside"
PAGE: Final = 50


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(OUTSIDE, show)


async def show(request: web.Request) -> web.Response:
    """`?kind=&after=`"""
    seen, admin = await visitor(request), request.app[DESK].admin
    account_id, after = UUID(seen.user.account_id), as_id(request.query.get("after", ""))
    kind: Kind = "integration" if request.query.get("kind") == "integration" else "person"
    found, cursor = await reports.outside(admin, account_id, kind, after, PAGE)
    counts = {each: await reports.count_outside(admin, account_id, each) for each in KINDS}
    at = URL(OUTSIDE).with_query(kind=kind)
    return framed(
        request,
        "account/outside.html",
        heading="Outside two-factor",
        kind=kind,
        users=found,
        counts=counts,
        first=str(at) if after else None,
        further=str(at.update_query(after=str(cursor))) if cursor else None,
    )


KINDS: Final[tuple[Kind, ...]] = ("person", "integration")
