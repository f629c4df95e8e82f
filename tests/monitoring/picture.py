"""`make dashboard`: what the dashboard shows of a run of a system of its own, as docs/pictures/dashboard.svg."""

import asyncio
import json
import shutil
import sys
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Final

import aiohttp
from rich.console import Console

from deploy.local import postgres
from deploy.local.paths import ROOT, STATE
from deploy.local.people import Api
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.monitoring.asking import answers, prometheus
from tests.monitoring.drawing import drawn
from tests.monitoring.load import Town

FOLDER: Final = STATE / "dashboard"
PICTURE: Final = ROOT / "docs" / "pictures" / "dashboard.svg"
DASHBOARD: Final = ROOT / "deploy" / "grafana" / "gatepost.json"
SECONDS: Final = 120.0
WELL: Final = {
    "GATEPOST_GUARD_MODE": "monitor",
    "GATEPOST_SENDS_PER_HOUR": "1000",
    "GATEPOST_SENDS_PER_DAY": "1000",
    "GATEPOST_LOGINS_PER_HOUR": "1000",
}


async def run(seconds: float) -> None:
    dashboard = json.loads(DASHBOARD.read_text())
    async with _story() as (story, stack):
        async with prometheus(stack, FOLDER, free_ports().kafka) as base:
            town = Town(story)
            await town.settle()
            begun = time.time()
            await town.live(seconds)
            await asyncio.sleep(5)  # two more scrapes, and the rules that go by them
            span = (begun, time.time())
            found = await answers(story.session, base, dashboard, span)
        title = (
            f"Gatepost: {town.logins} logins in {seconds:.0f} s, {time.strftime('%Y-%m-%d %H:%M', time.gmtime())} UTC"
        )
        PICTURE.write_text(drawn(dashboard, found, title, span))
        empty = [p["title"] for p in dashboard["panels"] if p["type"] != "row" and not found.get(p["id"])]
        story.out.print(f"{PICTURE.relative_to(ROOT)}: {title}; without data: {', '.join(empty) or 'none'}")


@asynccontextmanager
async def _story() -> AsyncIterator[tuple[Story, Stack]]:
    postgres.remove(FOLDER)
    shutil.rmtree(FOLDER, ignore_errors=True)
    out, stack = Console(), Stack(FOLDER, free_ports(), Console(), WELL)
    try:
        async with stack, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            api = Api(session, stack.environment.urls(), stack.client())
            made = await api.expect(201, "gateway", "POST", "/v1/accounts", {"name": "demo"})
            inbox, keys = f"http://127.0.0.1:{stack.ports.inbox}", stack.environment.keys / "gateway"
            yield Story(api, session, inbox, made["account_id"], {}, stack.kafka, keys, out), stack
    finally:
        postgres.remove(FOLDER)


if __name__ == "__main__":
    asyncio.run(run(float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS))
