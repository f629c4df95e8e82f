"""`gatepost doctor`: one page that says whether to worry, and where to read on."""

import asyncio
import os
import time
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from services.delivery.terminal import doctor as rules
from services.delivery.terminal.doctor import Answer, Heard
from services.delivery.terminal.findings import GUIDE, Line, Status, worst
from services.platform import cli
from services.platform.environment import BadSettings

if TYPE_CHECKING:
    import aiohttp
    from rich.console import RenderableType

SECONDS: Final = 5.0
STYLES: Final = {Status.OK: "green", Status.WARN: "yellow", Status.FAIL: "bold red"}


def doctor(as_json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Is anybody waiting, is it working, is it safe, is it in time? Exit code 1 with any FAIL."""
    where, missing = _where()
    lines = rules.judged(asyncio.run(heard(where, missing)))
    if as_json:
        found = {"status": worst(lines), "lines": [line._asdict() for line in lines]}
        cli.show(found, as_json)
    else:
        from rich.console import Console

        out = Console()
        (out if out.is_terminal else Console(width=200)).print(page(lines))
    raise typer.Exit(1 if worst(lines) is Status.FAIL else 0)


def _where() -> tuple[cli.Saved, str | None]:
    """The services as other commands know them; the second: why delivery's reading cannot be asked for."""
    try:
        found = cli.from_environment() or cli.kept()
    except BadSettings as bad:
        return cli.addresses(), str(bad)
    if found is None:
        return cli.addresses(), "not signed in: `gatepost login`, or set GATEPOST_CLIENT_FILE"
    return found, None


async def heard(where: cli.Saved, missing: str | None) -> Heard:
    import aiohttp

    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=SECONDS)) as session:
        answers, health, topics = await asyncio.gather(
            asyncio.gather(*(_service(session, getattr(where, name)) for name in rules.SERVICES)),
            _health(session, where, missing),
            _topics(),
        )
    return Heard(dict(zip(rules.SERVICES, answers, strict=True)), health, topics)


async def _service(session: "aiohttp.ClientSession", base: str) -> Answer:
    import aiohttp

    try:
        async with session.get(f"{base}/readyz") as answer:
            said = await answer.json()
            apart = _apart(answer.headers.get("Date"))
        async with session.get(f"{base}/metrics") as found:
            metrics = await found.text()
    except (aiohttp.ClientError, TimeoutError, OSError) as away:
        return Answer(base, trouble=f"{base} does not answer ({type(away).__name__})")
    except ValueError:
        return Answer(base, trouble=f"what answers at {base} is not Gatepost")
    if not isinstance(said, dict) or "service" not in said:
        return Answer(base, trouble=f"what answers at {base} is not Gatepost")
    return Answer(base, answer.status == 200, said, metrics, apart)


def _apart(date: str | None) -> float | None:
    """The header has whole seconds: what lies within one is none."""
    if date is None:
        return None
    apart = parsedate_to_datetime(date).timestamp() - time.time()
    return 0.0 if -1.5 < apart < 0.5 else apart


async def _health(session: "aiohttp.ClientSession", where: cli.Saved, missing: str | None) -> dict[str, Any] | str:
    import aiohttp

    if missing:
        return missing
    headers = {"Authorization": where.authorization}
    try:
        async with session.get(f"{where.delivery}/v1/deliveries/health", headers=headers) as answer:
            found: dict[str, Any] = await answer.json()
    except (aiohttp.ClientError, TimeoutError, OSError) as away:
        return f"{where.delivery} does not answer ({type(away).__name__})"
    except ValueError:
        return f"what answers at {where.delivery} is not Gatepost"
    return found if answer.status == 200 else str(cli.Refused(answer.status, found))


async def _topics() -> list[str] | str | None:
    """Only where GATEPOST_KAFKA says which cluster."""
    if "GATEPOST_KAFKA" not in os.environ:
        return None
    from aiokafka.errors import KafkaError

    from services.platform.kafka import Connection
    from services.platform.settings import KafkaSettings, parsed
    from services.platform.topics import missing_topics

    try:
        async with asyncio.timeout(SECONDS):
            return list(await missing_topics(Connection.of(parsed(KafkaSettings))))
    except BadSettings as bad:
        return str(bad)
    except (KafkaError, TimeoutError, OSError) as away:
        return f"does not answer ({type(away).__name__})"


def page(lines: list[Line]) -> "RenderableType":
    """One table for each question."""
    from rich.console import Group
    from rich.table import Table
    from rich.text import Text

    made: list[RenderableType] = []
    for question in dict.fromkeys(line.question for line in lines):
        table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
        table.add_column(width=4)
        table.add_column(min_width=18)
        table.add_column(overflow="fold")
        for line in (line for line in lines if line.question == question):
            figure = Text(line.figure)
            if line.status is not Status.OK:
                figure.append(f"\n→ {line.do}  {GUIDE}#{line.section}", style="dim")
            table.add_row(Text(line.status, style=STYLES[line.status]), line.name, figure)
        made += [Text(question, style="bold"), table, Text()]
    return Group(*made, _verdict(lines))


def _verdict(lines: list[Line]) -> "RenderableType":
    from rich.text import Text

    bad = {status: sum(line.status is status for line in lines) for status in Status}
    end = worst(lines)
    text = "All is well." if end is Status.OK else f"{bad[Status.FAIL]} FAIL, {bad[Status.WARN]} WARN."
    return Text(text, style=STYLES[end])
