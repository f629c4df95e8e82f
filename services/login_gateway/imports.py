"""Importing users: NDJSON, one user a line. A bad line is named and the next one is read."""

from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable
from typing import Final, Literal
from uuid import UUID

import msgspec

from services.login_gateway.import_faults import Fault, faults
from services.login_gateway.user_rows import UserView
from services.login_gateway.users import NewUser
from services.platform.http import Problem, decoded
from services.platform.postgres import AWAY

LONGEST_LINE: Final = 64 * 1024
Write = Callable[[NewUser], Awaitable[tuple[UserView, bool]]]  # the user, and whether they are new
Status = Literal["created", "updated", "failed", "stopped"]


class Result(msgspec.Struct, omit_defaults=True):
    """The answer to one line. Where it failed: `problems` are all that is wrong with it, the first one's `error`,
    `detail` and `field` beside them. After `stopped` send the rest again.
    """

    line: int
    status: Status
    user_id: UUID | None = None
    warnings: list[str] | None = None
    error: str | None = None
    detail: str | None = None
    field: str | None = None
    problems: list[Fault] | None = None


class Line(msgspec.Struct):
    """`data` is None for a line over the limit."""

    number: int
    data: bytes | None


async def lines(chunks: AsyncIterable[bytes]) -> AsyncIterator[Line]:
    """Cut a stream at its newlines; never holds more than one line; empty lines are counted and skipped."""
    held, number, too_long = bytearray(), 0, False
    async for chunk in chunks:
        *ended, rest = chunk.split(b"\n")
        for part in ended:
            number += 1
            held += part
            if too_long or held.strip():
                yield _line(number, held, too_long)
            held, too_long = bytearray(), False
        held += rest
        if len(held) > LONGEST_LINE:
            held, too_long = bytearray(), True
    if too_long or held.strip():
        yield _line(number + 1, held, too_long)


def _line(number: int, held: bytearray, too_long: bool) -> Line:
    return Line(number, None if too_long or len(held) > LONGEST_LINE else bytes(held))


async def run(write: Write, given: AsyncIterable[Line]) -> AsyncIterator[Result]:
    """Each line is a transaction of its own."""
    async for line in given:
        try:
            yield await _take(write, line)
        except Problem as bad:
            found = faults(line.data) if line.data is not None else []
            yield failed(line.number, found or [Fault.of(bad)])
        except AWAY:
            detail = "The database does not answer. Send this line and the rest again."
            yield Result(line.number, "stopped", error="database-unavailable", detail=detail)
            return


def failed(line: int, found: list[Fault]) -> Result:
    first = found[0]
    return Result(line, "failed", error=first.error, detail=first.detail, field=first.field, problems=found)


async def _take(write: Write, line: Line) -> Result:
    if line.data is None:
        raise Problem(413, "line-too-long", f"The line is longer than {LONGEST_LINE // 1024} KiB.")
    user, made = await write(decoded(line.data, NewUser))
    return Result(line.number, "created" if made else "updated", user.user_id, user.warnings)
