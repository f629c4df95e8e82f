"""`gatepost watch`: what happens now."""

import asyncio
import json
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, Annotated, Any, Final
from uuid import UUID

import typer

from services.delivery.states import State
from services.platform import cli

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

    from services.delivery.terminal.following import Said

HEALTH_SECONDS: Final = 5.0


def watch(
    account: Annotated[str | None, typer.Option(help="Name or id of an account.")] = None,
    state: Annotated[State | None, typer.Option(help="Only steps that lead to this state.")] = None,
    login: Annotated[UUID | None, typer.Option(help="Only this login.")] = None,
    channel: Annotated[str | None, typer.Option(help="sms or email.")] = None,
    provider: Annotated[str | None, typer.Option(help="As `gatepost providers list` names it.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a step.")] = False,
) -> None:
    """Follow every step of every message, live, until Ctrl-C. Comes again by itself when the connection breaks."""
    from rich.console import Console

    who = cli.saved()
    asked = {"account": cli.account_id(account), "state": state, "login_id": login}
    asked |= {"channel": channel, "provider": provider}
    given = {name: str(value) for name, value in asked.items() if value is not None}
    out = Console()
    seen = Watched(out, who, as_json)
    asyncio.run(_until_stopped(seen.run(given)))


async def _until_stopped(work: Any) -> None:
    from services.platform.work import stop_signal

    task, stopping = asyncio.ensure_future(work), asyncio.ensure_future(stop_signal().wait())
    await asyncio.wait([task, stopping], return_when=asyncio.FIRST_COMPLETED)
    for each in (task, stopping):
        each.cancel()
    with suppress(asyncio.CancelledError):
        await task


class Watched:
    """At a terminal a header stays below the lines; otherwise there are only lines."""

    def __init__(self, out: "Console", who: cli.Saved, as_json: bool) -> None:
        from services.delivery.terminal.live import Rates

        self._out, self._who, self._as_json = out, who, as_json
        self._rates = Rates(time.monotonic)
        self._oldest: float | None = None
        self._state, self._connected = "connecting …", True

    async def run(self, asked: dict[str, str]) -> None:
        if self._as_json or not self._out.is_terminal:
            return await self._follow(asked, lambda: None)
        from rich.live import Live

        with Live(self.header(), console=self._out, auto_refresh=False, transient=True) as live:
            asking = asyncio.create_task(self._ask_health(lambda: live.update(self.header(), refresh=True)))
            try:
                return await self._follow(asked, lambda: live.update(self.header(), refresh=True))
            finally:
                asking.cancel()

    def header(self) -> "RenderableType":
        from services.delivery.terminal import live

        return live.header(self._rates, self._oldest, self._state, self._connected)

    async def _follow(self, asked: dict[str, str], refresh: Callable[[], None]) -> None:
        from services.delivery.terminal.following import Said, follow

        async for heard in follow(self._who, asked):
            if isinstance(heard, Said):
                self._say(heard)
            else:
                self._show(heard)
            refresh()

    def _say(self, said: "Said") -> None:
        self._state, self._connected = said.text, said.connected
        if self._as_json or not self._out.is_terminal:
            sys.stderr.write(f"{said.text}\n")
        elif not said.connected:
            self._out.print(said.text, style="red", markup=False, highlight=False)

    def _show(self, step: dict[str, Any]) -> None:
        from services.delivery.terminal import live

        self._rates.count(step)
        if self._as_json:
            typer.echo(json.dumps(step, ensure_ascii=False))
        elif self._out.is_terminal:
            self._out.print(live.line(step))
        else:
            typer.echo(live.line(step).plain)

    async def _ask_health(self, refresh: Callable[[], None]) -> None:
        """Who may not see all of it sees no figure."""
        import aiohttp

        headers = {"Authorization": self._who.authorization}
        async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=5), headers=headers) as session:
            while True:
                try:
                    async with session.get(f"{self._who.delivery}/v1/deliveries/health") as answer:
                        found = await answer.json() if answer.status == 200 else None
                    self._oldest = found["waiting"]["oldest_seconds"] if found else None
                except (aiohttp.ClientError, TimeoutError, ValueError):
                    self._oldest = None
                refresh()
                await asyncio.sleep(HEALTH_SECONDS)
