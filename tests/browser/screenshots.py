"""`make screenshots`: a picture of every page, light and dark, from a run of a system of its own.

All of them come to .gatepost/screenshots/; those that README and guide show, to docs/pictures/ too.
"""

import asyncio
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from rich.console import Console

from deploy.local import postgres
from deploy.local.paths import ROOT, STATE
from deploy.local.people import Api, populate
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.browser.chromium import Visitor, launched, visitors
from tests.browser.shots import SHOWN, Shot, Show, shots
from tests.browser.site import Site

PICTURES: Final = ROOT / "docs" / "pictures"
FOLDER: Final = STATE / "screenshots"
WINDOW: Final = {"viewport": {"width": 1120, "height": 760}}
BRAND: Final = {"name": "Northwind", "colour": "#0f766e"}


async def run() -> None:
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    out = Console()
    async with _site(out) as site, launched() as browser, visitors(browser) as visitor:
        show = Show(site, visitor)
        for shot in shots():
            out.print(shot.name)
            await _taken(show, shot, visitor)


async def _taken(show: Show, shot: Shot, visitor: Visitor) -> None:
    page = await visitor(**WINDOW)
    await shot.reach(show, page)
    for scheme in ("light", "dark"):
        await page.emulate_media(color_scheme=scheme, reduced_motion="reduce")
        path = FOLDER / f"{shot.name}-{scheme}.png"
        await page.screenshot(path=path, full_page=True, animations="disabled")
        if (shot.name, scheme) in SHOWN:
            shutil.copy(path, PICTURES / path.name)
    await page.context.close()


@asynccontextmanager
async def _site(out: Console) -> AsyncIterator[Site]:
    """The people of `make demo`, in an account with a name and a colour of its own."""
    folder = STATE / "screenshots-system"
    postgres.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(folder, free_ports(), out, {"GATEPOST_GUARD_MODE": "monitor"})
    try:
        async with stack, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            api = Api(session, stack.environment.urls(), stack.client())
            account, made = await populate(api)
            await api.expect(200, "gateway", "PUT", f"/v1/accounts/{account}/brand", BRAND)
            people = {person.username: person for person in made}
            inbox, keys = f"http://127.0.0.1:{stack.ports.inbox}", stack.environment.keys / "gateway"
            story = Story(api, session, inbox, account, people, stack.kafka, keys, out)
            yield Site(stack, story, "demo", account, stack.environment.url("gateway"))
    finally:
        postgres.remove(folder)


if __name__ == "__main__":
    asyncio.run(run())
