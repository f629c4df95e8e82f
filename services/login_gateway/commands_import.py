"""`gatepost users import`: a file of users, line by line."""

import csv
from collections import Counter, deque
from collections.abc import AsyncIterator, Callable, Iterator
from math import inf
from pathlib import Path
from typing import Any

import msgspec
import typer
from rich.console import Console
from rich.progress import Progress

from services.login_gateway import csv_rows
from services.login_gateway.commands_accounts import chosen
from services.login_gateway.commands_reach import Api, run
from services.login_gateway.csv_rows import COLUMNS, BadRow
from services.platform import cli

Failure = dict[str, Any]
Report = Callable[[Failure], None]


class Import:
    """Where one import stands: which line of the file each line that was sent came from, and how each ended."""

    def __init__(self, file: Path, tell: Report) -> None:
        self._file = file
        self._tell = tell
        self._origin: list[int] = []
        self._here: deque[Failure] = deque()
        self.counts: Counter[str] = Counter()
        self.failures: list[Failure] = []

    async def lines(self) -> AsyncIterator[bytes]:
        """NDJSON for the gateway; a row that cannot be written as such fails here."""
        for number, body in rows(self._file):
            if isinstance(body, BadRow):
                self._here.append(_refused(number, body))
                continue
            self._origin.append(number)
            yield body + b"\n"

    def take(self, result: dict[str, Any]) -> None:
        result["line"] = self._origin[result["line"] - 1]
        self.tell_until(result["line"])
        if result["status"] in ("failed", "stopped"):
            self._failed(result)
        else:
            self.counts[result["status"]] += 1

    def tell_until(self, line: float) -> None:
        """What failed here is told in its turn among what the gateway says."""
        while self._here and self._here[0]["line"] < line:
            self._failed(self._here.popleft())

    def _failed(self, failure: Failure) -> None:
        self.counts["failed"] += 1
        if _is_csv(self._file):
            for problem in (failure, *failure.get("problems", ())):
                problem |= {"field": csv_rows.column(problem["field"])} if problem.get("field") else {}  # noqa: PLW2901
        self.failures.append(failure)
        self._tell(failure)

    @property
    def done(self) -> int:
        return self.counts.total()


def import_file(file: Path, account: str | None, as_json: bool) -> int:
    """Gives the exit code: 1 when a line failed."""
    _check(file)
    console = Console(stderr=True)
    progress = Progress(console=console, disable=as_json or not console.is_terminal)
    work = Import(file, lambda failure: None if as_json else progress.console.print(_named(failure), markup=False))
    with progress:
        try:
            run(lambda api: _send(api, account, work, progress, _size(file)))
        finally:
            work.tell_until(inf)
    _summary(work, as_json)
    return 1 if work.failures else 0


async def _send(api: Api, account: str | None, work: Import, progress: Progress, total: int) -> None:
    place = await chosen(api, account)
    bar = progress.add_task("Importing users", total=total)
    async for result in api.stream(f"/v1/accounts/{place}/imports", work.lines()):
        work.take(result)
        progress.update(bar, completed=work.done)
    progress.update(bar, completed=total)


def rows(file: Path) -> Iterator[tuple[int, bytes | BadRow]]:
    """Each user of the file as a JSON object, with the number of its line."""
    return _csv_rows(file) if _is_csv(file) else _json_rows(file)


def _json_rows(file: Path) -> Iterator[tuple[int, bytes | BadRow]]:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            if line.strip():
                yield number, line.strip()


def _csv_rows(file: Path) -> Iterator[tuple[int, bytes | BadRow]]:
    with file.open(newline="", encoding="utf-8-sig") as text:
        yield from csv_rows.rows(text)


def _check(file: Path) -> None:
    """A file that is no text, or a header that we do not know, ends the command before anything is sent."""
    _check_text(file)
    if not _is_csv(file):
        return
    with file.open(newline="", encoding="utf-8-sig") as text:
        header = next(csv.reader(text), [])
    problem = csv_rows.header_problem(header)
    if problem:
        raise typer.BadParameter(f"{file}: {problem}. Known: {', '.join(sorted(COLUMNS))}")


def _check_text(file: Path) -> None:
    with file.open("rb") as lines:
        for number, line in enumerate(lines, 1):
            try:
                line.decode()
            except UnicodeDecodeError:
                raise typer.BadParameter(f"{file}: line {number} is not UTF-8; save the file as UTF-8.") from None


def _is_csv(file: Path) -> bool:
    return file.suffix.lower() not in (".ndjson", ".jsonl", ".json")


def _size(file: Path) -> int:
    with file.open("rb") as lines:
        return max(1, sum(1 for _ in lines) - int(_is_csv(file)))


def _refused(line: int, row: BadRow) -> Failure:
    from services.login_gateway.imports import failed  # slow to load, and seldom needed

    found: Failure = msgspec.to_builtins(failed(line, row.faults))
    return found


def _named(failure: Failure) -> str:
    """A line for each thing that is wrong."""
    told = []
    for problem in failure.get("problems") or [failure]:
        field = f" [{problem['field']}]" if problem.get("field") else ""
        told.append(f"line {failure['line']}: {problem['detail']}{field} ({problem['error']})")
    return "\n".join(told)


def _summary(work: Import, as_json: bool) -> None:
    found = {name: work.counts[name] for name in ("created", "updated", "failed")}
    cli.show(found | ({"failures": work.failures} if as_json else {}), as_json)
