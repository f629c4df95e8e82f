"""Whose sign-in it is: the account's name, logo and colour, served from our own origin."""

from dataclasses import dataclass
from typing import Final
from uuid import UUID

from aiohttp import web

from services.login_gateway import brands
from services.login_gateway.accounts import as_id
from services.login_gateway.brands import Brand
from services.login_gateway.colours import DARK_GROUND, LIGHT_GROUND, Accent, accent
from services.login_gateway.house import HOUSE
from services.login_gateway.pages.parts import PARTS
from services.platform.http import Problem
from services.platform.postgres import AWAY
from services.platform.ui.assets import FOR_EVER

SHEET: Final = "/login/brand/{account}/{stamp}.css"
LOGO: Final = "/login/brand/{account}/{stamp}.logo"
# A logo that is opened by itself is shown in a sandbox: nothing in it runs.
SANDBOX: Final = "default-src 'none'; frame-ancestors 'none'; sandbox"


@dataclass(frozen=True)
class Shown:
    """`which` is whether the page has to ask for the account."""

    name: str = "Gatepost"
    which: bool = False
    sheet: str | None = None
    logo: str | None = None


def add_routes(app: web.Application) -> None:
    app.router.add_get(SHEET, sheet)
    app.router.add_get(LOGO, logo)


async def brand_of(request: web.Request, account: str) -> Shown:
    """By name or id; the only account there is when none is given. A page is shown without the database too."""
    try:
        found = await request.app[HOUSE].users.account_id(account.replace("\x00", "") or None)
        brand = await request.app[PARTS].brands.of(found) if found is not None else None
    except AWAY:
        return Shown()
    if found is None or brand is None:
        return Shown(which=True)
    place = {"account": str(found), "stamp": brands.stamp(brand)}
    return Shown(
        name=brand.name or "Gatepost",
        sheet=SHEET.format(**place) if brand.colour is not None else None,
        logo=LOGO.format(**place) if brand.logo is not None else None,
    )


async def sheet(request: web.Request) -> web.Response:
    brand = await _asked_for(request)
    if brand.colour is None:
        raise _nothing()
    light, dark = accent(brand.colour, LIGHT_GROUND), accent(brand.colour, DARK_GROUND)
    text = f"{_rule(light)}\n@media (prefers-color-scheme: dark) {{ {_rule(dark)} }}\n"
    return web.Response(text=text, content_type="text/css", headers={"Cache-Control": FOR_EVER})


async def logo(request: web.Request) -> web.Response:
    brand = await _asked_for(request)
    if brand.logo is None:
        raise _nothing()
    headers = {"Cache-Control": FOR_EVER, "Content-Security-Policy": SANDBOX}
    return web.Response(body=brand.logo.data, content_type=brand.logo.kind, headers=headers)


async def _asked_for(request: web.Request) -> Brand:
    """Only as it is now: what browsers keep for a year must be what its address says."""
    account_id: UUID | None = as_id(request.match_info["account"])
    brand = await request.app[PARTS].brands.of(account_id) if account_id is not None else Brand()
    if brands.stamp(brand) != request.match_info["stamp"]:
        raise _nothing()
    return brand


def _rule(colours: Accent) -> str:
    return f":root {{ --accent: {colours.colour}; --on-accent: {colours.on_it}; }}"


def _nothing() -> Problem:
    return Problem(404, "not-found", "There is nothing at this address.")
