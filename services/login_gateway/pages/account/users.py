"""Account Settings > Users: who may sign in. What is searched for is sealed before it stands in an address."""

from typing import Final
from uuid import UUID

from aiohttp import web
from yarl import URL

from services.login_gateway.accounts import as_id
from services.login_gateway.pages.account.desk import DESK
from services.login_gateway.postgres import users
from services.platform.ui.console import framed, sent, visitor
from services.platform.ui.pages import see_other

LIST: Final = "/account/users"
FIND: Final = "/account/users/find"
DONE: Final = {
    "deleted-now": "The user is deleted, and all their sessions are over.",
    "deleted-queued": "The user is deleted. Their sessions end as soon as the session store can be reached.",
}
PAGE: Final = 50
LONGEST: Final = 200


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(LIST, listed)
    router.add_post(FIND, find)


async def home(request: web.Request) -> web.Response:
    await visitor(request)
    return see_other(LIST)


async def listed(request: web.Request) -> web.Response:
    """`?find=&after=`"""
    seen, desk = await visitor(request), request.app[DESK]
    find, after = request.query.get("find", ""), as_id(request.query.get("after", ""))
    search = desk.opened("search", find) or ""
    found, cursor = await users.listed(desk.admin, UUID(seen.user.account_id), search or None, after, PAGE)
    asked = {"find": find} if search else {}
    return framed(
        request,
        "account/users.html",
        heading="Users",
        done=DONE.get(request.query.get("done", "")),
        users=found,
        search=search,
        first=str(URL(LIST).with_query(asked)) if after else None,
        further=str(URL(LIST).with_query(asked | {"after": str(cursor)})) if cursor else None,
    )


async def find(request: web.Request) -> web.Response:
    _, given = await sent(request)
    wanted = given.get("search", "").strip()[:LONGEST]
    asked = {"find": request.app[DESK].sealed("search", wanted)} if wanted else {}
    return see_other(str(URL(LIST).with_query(asked)))
