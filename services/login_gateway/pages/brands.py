"""Whose sign-in it is: the account's name, logo and colour."""

from dataclasses import dataclass

from aiohttp import web

from services.login_gateway.house import HOUSE
from services.platform.postgres import AWAY


@dataclass(frozen=True)
class Brand:
    """`which` is whether the page has to ask for the account."""

    name: str = "Gatepost"
    which: bool = False


async def brand_of(request: web.Request, account: str) -> Brand:
    """By name or id; the only account there is when none is given. A page is shown without the database too."""
    try:
        found = await request.app[HOUSE].users.account_id(account or None)
    except AWAY:
        return Brand()
    return Brand(which=found is None)
