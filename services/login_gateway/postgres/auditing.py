"""The audit as an account's administrators read it: newest first, names instead of ids."""

from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec

from services.login_gateway.administration import Administration
from services.login_gateway.postgres import people

USER: Final = "user:"
PAGE: Final = """
SELECT id, at, who, action, subject, details FROM audit
WHERE account_id = $1 AND id < coalesce($2, 9223372036854775807)
  AND ($3::text IS NULL OR who = $3) AND ($4::text IS NULL OR action = $4) AND ($5::text IS NULL OR subject = $5)
ORDER BY id DESC LIMIT $6
"""


class Wanted(msgspec.Struct, frozen=True):
    """What is left out filters nothing. `who` is `user:<id>`, `client:<id>` or `command-line`; `subject` an id."""

    who: str | None = None
    action: str | None = None
    subject: str | None = None


class Line(msgspec.Struct, frozen=True):
    """`who` and `subject` are names where they are users of the account, else what the audit holds."""

    id: int
    at: datetime
    who_id: str
    who: str
    action: str
    subject_id: str
    subject: str
    details: dict[str, Any]


async def page(
    admin: Administration, account_id: UUID, wanted: Wanted, before: int | None, limit: int
) -> tuple[list[Line], int | None]:
    """Lines, and where to go on."""
    asked = (account_id, before, wanted.who, wanted.action, wanted.subject, limit + 1)
    rows = await admin.pool.fetch(PAGE, *asked)
    lines = await _named(admin, account_id, rows[:limit])
    return lines, lines[-1].id if len(rows) > limit else None


async def last(admin: Administration, account_id: UUID, subject: str) -> Line | None:
    """What was done to it last."""
    lines, _ = await page(admin, account_id, Wanted(subject=subject), None, 1)
    return lines[0] if lines else None


async def _named(admin: Administration, account_id: UUID, rows: list[Any]) -> list[Line]:
    ids = {row["who"].removeprefix(USER) for row in rows} | {row["subject"] for row in rows}
    names = await people.names(admin.pool, account_id, ids)

    def named(text: str) -> str:
        return names.get(text.removeprefix(USER), text)

    return [
        Line(
            id=row["id"],
            at=row["at"],
            who_id=row["who"],
            who=named(row["who"]),
            action=row["action"],
            subject_id=row["subject"],
            subject=named(row["subject"]),
            details=row["details"],
        )
        for row in rows
    ]
