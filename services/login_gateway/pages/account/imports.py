"""Account Settings > Users > Import: a CSV file, line by line, by the rules of the API's import."""

import io
import re
from collections.abc import AsyncIterator
from functools import partial
from itertools import islice
from typing import Final
from uuid import UUID

import msgspec
import structlog
from aiohttp import BodyPartReader, web
from aiohttp.http_exceptions import HttpProcessingError

from services.login_gateway import csv_rows, imports
from services.login_gateway.csv_rows import COLUMNS, BadRow
from services.login_gateway.import_faults import Fault
from services.login_gateway.imports import Line, Result
from services.login_gateway.pages.account.desk import DESK, wrong
from services.login_gateway.postgres import users
from services.platform.http import LARGE_BODY_LIMIT, Problem
from services.platform.ui.console import framed, sent, typed, visitor
from services.platform.ui.pages import see_other

log = structlog.get_logger()

IMPORT: Final = "/account/users/import"
FILE: Final = "file"
MOST: Final = 8
"""Of fields: no page has more, and no number of them is held."""
NEWLINE: Final = "\n"
SURROGATE: Final = re.compile("[\ud800-\udfff]")
MOST_ROWS: Final = 1000
MOST_LINES: Final = 20
"""Of each reason so many lines are named,"""
MOST_REASONS: Final = 20
"""and so many reasons are told: all of it stands in the address of the page."""


class Reason(msgspec.Struct):
    """Why lines were not taken, and which: the first of them, and how many there are."""

    text: str
    column: str | None = None
    many: int = 0
    lines: list[int] = []


class Report(msgspec.Struct):
    """What became of a file."""

    created: int = 0
    updated: int = 0
    failed: int = 0
    stopped: bool = False
    more: bool = False
    """Whether there are other reasons than those that are told."""
    reasons: list[Reason] = []

    def take(self, result: Result) -> None:
        match result.status:
            case "created":
                self.created += 1
            case "updated":
                self.updated += 1
            case status:
                self.stopped = self.stopped or status == "stopped"
                self.failed += 1
                for fault in result.problems or [Fault(result.error or "", result.detail or "")]:
                    self._because(fault.detail, csv_rows.column(fault.field), result.line)

    def _because(self, text: str, column: str | None, line: int) -> None:
        reason = next((each for each in self.reasons if (each.text, each.column) == (text, column)), None)
        if reason is None:
            if len(self.reasons) == MOST_REASONS:
                self.more = True
                return
            self.reasons.append(reason := Reason(text, column))
        reason.many += 1
        if len(reason.lines) < MOST_LINES:
            reason.lines.append(line)


def add_routes(router: web.UrlDispatcher) -> None:
    router.add_get(IMPORT, ask)
    router.add_post(IMPORT, take)


async def ask(request: web.Request) -> web.Response:
    """`?told=`: what became of the last file."""
    await visitor(request)
    text = request.app[DESK].opened("import", request.query.get("told", ""))
    return _page(request, msgspec.json.decode(text, type=Report) if text is not None else None)


async def take(request: web.Request) -> web.Response:
    try:
        seen, given = await sent(request, uploaded)
        lines = _lines(given.get(FILE, ""))
        admin, report = request.app[DESK].admin, Report()
        write = partial(users.take, admin, seen.user, UUID(seen.user.account_id))
        for number, bad in lines:
            if isinstance(bad, BadRow):
                report.take(imports.failed(number, bad.faults))
        async for result in imports.run(write, _good(lines)):
            report.take(result)
    except Problem as problem:
        if FILE not in typed(request):
            raise
        return _page(request, None, problem)
    log.info("users_imported", created=report.created, updated=report.updated, failed=report.failed)
    return see_other(f"{IMPORT}?told={request.app[DESK].sealed('import', msgspec.json.encode(report).decode())}")


async def uploaded(request: web.Request) -> dict[str, str]:
    """The fields of a `multipart/form-data` body, in memory only: a file of users holds contacts and passwords.

    What is not UTF-8 becomes surrogates, for `_lines` to refuse. Raises 400, 413, 415.
    """
    if request.content_type != "multipart/form-data":
        raise Problem(415, "form-required", "Send the form of the page.")
    found: dict[str, str] = {}
    try:
        async for part in await request.multipart():
            if not isinstance(part, BodyPartReader) or part.name is None or part.name in found or len(found) == MOST:
                raise _unreadable()
            found[part.name] = await _text(part, LARGE_BODY_LIMIT - sum(map(len, found.values())))
    except (ValueError, HttpProcessingError):
        raise _unreadable() from None
    return found


async def _text(part: BodyPartReader, most: int) -> str:
    data = bytearray()
    while chunk := await part.read_chunk():
        data += chunk
        if len(data) > most:
            raise Problem(413, "body-too-large", "The file is larger than 1 MiB. Send less at a time.")
    return data.decode("utf-8-sig", "surrogateescape")


def _unreadable() -> Problem:
    return Problem(400, "bad-request", "The form cannot be read.")


def _lines(text: str) -> list[tuple[int, bytes | BadRow]]:
    """The rows of the file. Raises 400 `bad-request` where nothing of it can be used."""
    if (bad := SURROGATE.search(text)) is not None:
        detail = f"Line {text.count(NEWLINE, 0, bad.start()) + 1} is not UTF-8. Save the file as “CSV UTF-8”."
        raise Problem(400, "bad-request", detail, field=FILE)
    header = next(iter(text.splitlines()), "")
    if problem := csv_rows.header_problem([name.strip('"') for name in header.split(",")]):
        detail = f"The file cannot be used: {problem}. Its first line names its columns: {', '.join(sorted(COLUMNS))}."
        raise Problem(400, "bad-request", detail, field=FILE)
    found = list(islice(csv_rows.rows(io.StringIO(text, newline="")), MOST_ROWS + 1))
    if len(found) > MOST_ROWS:
        detail = f"The file has more than the {MOST_ROWS:,} users that a page takes: use `gatepost users import`."
        raise Problem(400, "bad-request", detail, field=FILE)
    if not found:
        raise Problem(400, "bad-request", "There is no user in the file: below the first line it is empty.", field=FILE)
    return found


async def _good(lines: list[tuple[int, bytes | BadRow]]) -> AsyncIterator[Line]:
    for number, body in lines:
        if not isinstance(body, BadRow):
            yield Line(number, body)


def _page(request: web.Request, report: Report | None, problem: Problem | None = None) -> web.Response:
    return framed(
        request,
        "account/import.html",
        200 if problem is None else problem.status,
        heading="Import users",
        report=report,
        columns=sorted(COLUMNS),
        most=MOST_ROWS,
        wrong=wrong(request, problem),
    )
