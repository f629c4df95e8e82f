"""`python -m deploy.local.pictures`: how the terminal looks, for docs/pictures, from a run of a system of its own."""

import asyncio
import io
import os
import re
import shutil
import time
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Any, Final

import aiohttp
from rich.console import Console, RenderableType

from deploy.local import postgres
from deploy.local.paths import ROOT, STATE
from deploy.local.people import Api, populate
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.story import Story
from services.delivery import commands_doctor
from services.delivery.terminal import doctor as rules
from services.delivery.terminal import live, timeline
from services.delivery.terminal.findings import Line
from services.delivery.terminal.following import Said, follow
from services.platform import cli

PICTURES: Final = ROOT / "docs" / "pictures"
GRACE: Final = "+442079460102"


async def run() -> None:
    async with _story() as (story, who, stack):
        for name, (title, seen, wide) in (await _play(story, who, stack)).items():
            (PICTURES / f"{name}.svg").write_text(svg(name, title, seen, wide))
            story.out.print(f"docs/pictures/{name}.svg")


def svg(name: str, title: str, seen: list[RenderableType], wide: int) -> str:
    """Rich's own export, without its fonts from the network: any monospaced one has its letters stretched to fit."""
    console = Console(record=True, width=wide, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    for each in seen:
        console.print(each)
    made = console.export_svg(title=title, unique_id=name)
    return re.sub(r"\s*@font-face\s*\{[^}]*\}", "", made)


@asynccontextmanager
async def _story() -> AsyncIterator[tuple[Story, cli.Saved, Stack]]:
    folder, out = STATE / "pictures", Console()
    postgres.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(folder, free_ports(), out)
    try:
        async with stack, aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
            api = Api(session, stack.environment.urls(), stack.client())
            account, made = await populate(api)
            people = {person.username: person for person in made}
            inbox, keys = f"http://127.0.0.1:{stack.ports.inbox}", stack.environment.keys / "gateway"
            who = cli.Saved(**stack.environment.urls(), authorization=cli.basic(":".join(stack.client())))
            yield Story(api, session, inbox, account, people, stack.kafka, keys, out), who, stack
    finally:
        postgres.remove(folder)


Picture = tuple[str, list[RenderableType], int]


async def _play(story: Story, who: cli.Saved, stack: Stack) -> dict[str, Picture]:
    """Three who get an SMS; one whose phone is refused and who signs in by e-mail; then a number that is off."""
    os.environ["GATEPOST_KAFKA"] = stack.kafka
    rates, lines = live.Rates(time.monotonic), list[RenderableType]()
    following = asyncio.create_task(_follow(who, rates, lines))
    await story.fault({"sms": {GRACE: {"mode": "refuse", "code": 21614}}})
    logins = [(await story.sign_in(name))[1] for name in ("ada", "barbara", "grace", "edsger")]
    code = await _code(story)
    await story.verify(logins[2]["login"], code)
    show = await _closed(story, logins[2]["login_id"])
    await asyncio.sleep(1.5)  # the steps that were just written reach the live log
    following.cancel()
    await story.api.call("delivery", "POST", "/v1/deliveries/pause", {"channel": "sms", "country": "FR"})
    await asyncio.sleep(2.5)  # a reading is kept for two seconds
    heard = await commands_doctor.heard(who, None)
    oldest = heard.health["waiting"]["oldest_seconds"] if not isinstance(heard.health, str) else None
    lines += ["", live.header(rates, oldest, "following http://127.0.0.1:8081", connected=True)]
    return {
        "watch": ("gatepost watch", lines, 150),
        "deliveries-show": (f"gatepost deliveries show {logins[2]['login_id']}", [timeline.picture(show)], 93),
        "doctor": ("gatepost doctor", [commands_doctor.page(_at_home(rules.judged(heard)))], 108),
    }


async def _code(story: Story) -> str:
    async with story.session.get(
        f"{story.inbox}/messages", params={"to": "grace@example.com", "channel": "email", "wait": "15"}
    ) as answer:
        return str((await answer.json())["messages"][-1]["code"])


async def _closed(story: Story, login_id: str) -> dict[str, Any]:
    while True:
        _, found = await story.api.call("delivery", "GET", f"/v1/timelines/{login_id}")
        if found["closed"] is not None:
            return dict(found)
        await asyncio.sleep(0.1)


async def _follow(who: cli.Saved, rates: live.Rates, lines: list[RenderableType]) -> None:
    async with aclosing(follow(who, {})) as steps:
        async for step in steps:
            if not isinstance(step, Said):
                rates.count(step)
                lines.append(live.line(step))


def _at_home(lines: list[Line]) -> list[Line]:
    """With the ports that the guide uses, not those that were free."""
    usual = {"gateway": 8080, "delivery": 8081, "session_store": 8082}
    return [line._replace(figure=re.sub(r":\d{4,5}$", f":{usual.get(line.name, 0)}", line.figure)) for line in lines]


if __name__ == "__main__":
    asyncio.run(run())
