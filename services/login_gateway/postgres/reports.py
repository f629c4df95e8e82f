"""Who signs in by the password alone."""

from typing import Final
from uuid import UUID

from services.login_gateway.administration import Administration
from services.login_gateway.user_rows import UserView, masked_view
from services.login_gateway.users import Kind

PAGE: Final = """
SELECT users.*, locked_at FROM users LEFT JOIN user_guard USING (user_id)
WHERE account_id = $1 AND kind = $2 AND NOT (sms_on OR email_on OR disabled) AND ($3::uuid IS NULL OR user_id > $3)
ORDER BY user_id LIMIT $4
"""
COUNT: Final = """
SELECT count(*) FROM (
    SELECT FROM users WHERE account_id = $1 AND kind = $2 AND NOT (sms_on OR email_on OR disabled) LIMIT $3
) AS found
"""
MOST: Final = 10_000


async def outside(
    admin: Administration, account_id: UUID, kind: Kind, after: UUID | None, limit: int
) -> tuple[list[UserView], UUID | None]:
    """Users of that kind who may sign in without a second factor, in the order they were made; and where to go on."""
    rows = await admin.pool.fetch(PAGE, account_id, kind, after, limit + 1)
    views = [masked_view(row) for row in rows[:limit]]
    return views, views[-1].user_id if len(rows) > limit else None


async def count_outside(admin: Administration, account_id: UUID, kind: Kind) -> tuple[int, bool]:
    """How many, and whether there are more than that."""
    found = await admin.pool.fetchval(COUNT, account_id, kind, MOST + 1)
    return min(found, MOST), found > MOST
