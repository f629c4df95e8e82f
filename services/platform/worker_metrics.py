"""One page of metrics for several workers on one port: whoever is asked asks the others, and labels each one's figures.

Adding them up would hide a restart (a counter that falls back is no reset any more) and a worker that differs.
"""

import asyncio
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import aiohttp
import structlog
from aiohttp import web

from services.platform.metering import PATIENCE_SECONDS, Figures
from services.platform.worker import Place

log = structlog.get_logger()

PATIENCE: Final = PATIENCE_SECONDS + 1.0
LABEL: Final = "worker"


async def share(place: Place, figures: Figures) -> web.AppRunner:
    """Others read this worker's figures, in the place of whoever had the number before, until it is cleaned up."""

    async def own(_: web.Request) -> web.Response:
        return web.Response(body=await figures(), content_type="text/plain", charset="utf-8")

    app = web.Application()
    app.router.add_get("/", own)
    runner = web.AppRunner(app, access_log=None, handle_signals=False)
    await runner.setup()
    path = place.folder / f".{place.number}-{os.getpid()}"
    await web.UnixSite(runner, str(path)).start()
    path.rename(_socket(place, place.number))
    return runner


async def together(place: Place, figures: Figures) -> bytes:
    """Everybody's figures. Who does not answer in time is left out: its series have a gap."""
    numbers = [number for number in range(1, place.of + 1) if number != place.number]
    others = asyncio.gather(*(_read(_socket(place, number)) for number in numbers))
    own = await figures()
    found = {number: page for number, page in zip(numbers, await others, strict=True) if page is not None}
    found[place.number] = own.decode()
    return joined(dict(sorted(found.items()))).encode()


def joined(pages: Mapping[int, str]) -> str:
    """Prometheus' text format: each metric's help and type once, then the samples of every worker."""
    heads: dict[str, list[str]] = {}
    samples: dict[str, list[str]] = {}
    for number, page in pages.items():
        name = ""
        for line in page.splitlines():
            if line.startswith("# HELP "):
                name = line.split(" ", 3)[2]
                heads.setdefault(name, [])
            if line.startswith("#"):
                _once(heads.setdefault(name, []), line)
            elif line:
                samples.setdefault(name, []).append(_labelled(line, number))
    return "".join(f"{line}\n" for name in heads for line in (*heads[name], *samples.get(name, ())))


def _once(lines: list[str], line: str) -> None:
    if line not in lines:
        lines.append(line)


def _labelled(sample: str, number: int) -> str:
    name, brace, rest = sample.partition("{")
    if brace:
        return f'{name}{{{LABEL}="{number}",{rest}'
    name, _, value = sample.partition(" ")
    return f'{name}{{{LABEL}="{number}"}} {value}'


async def _read(path: Path) -> str | None:
    connector = aiohttp.UnixConnector(str(path))
    timeout = aiohttp.ClientTimeout(total=PATIENCE)
    try:
        async with (
            aiohttp.ClientSession(connector=connector, timeout=timeout) as session,
            session.get("http://worker/") as answer,
        ):
            return await answer.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as away:
        log.warning("worker_not_heard", path=path.name, error=type(away).__name__)
        return None


def _socket(place: Place, number: int) -> Path:
    return place.folder / str(number)
