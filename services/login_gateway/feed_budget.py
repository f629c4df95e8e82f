"""How many logins an account may feed in a minute, and how that is said: by the RateLimit fields of the IETF's draft
draft-ietf-httpapi-ratelimit-headers-11.

The budget is a bucket that holds a minute's logins and fills up again evenly. All that is kept of it is one instant:
until when it is spent. A login moves that on by its part of a minute; nothing is left once it lies a minute ahead.
"""

import math
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Final, NamedTuple

WINDOW: Final = timedelta(seconds=60)
POLICY: Final = '"logins"'


class Budget(NamedTuple):
    """An account's, as the database had it at that instant."""

    per_minute: int
    spent_until: datetime
    at: datetime

    @property
    def one(self) -> timedelta:
        return WINDOW / self.per_minute

    @property
    def left(self) -> int:
        """How many logins fit now."""
        free = WINDOW - max(self.spent_until - self.at, timedelta())
        return max(0, math.floor(free / self.one))

    def seconds_until(self, logins: int) -> int:
        """When so many fit, if nobody else feeds; at least one second."""
        missing = max(self.spent_until, self.at) + logins * self.one - self.at - WINDOW
        return max(1, math.ceil(missing.total_seconds()))

    def fields(self, seconds: int | None = None) -> dict[str, str]:
        """`seconds`: when to come again, where a call was refused."""
        window = int(WINDOW.total_seconds())
        return {
            "RateLimit-Policy": f'{POLICY};q={self.per_minute};w={window};gatepost-unit="logins"',
            "RateLimit": f"{POLICY};r={self.left};t={seconds or window}",
        }


class Turns(NamedTuple):
    """When each login has its turn: None for one that would be too old by then. `spent_until` is the budget's after."""

    due: list[datetime | None]
    spent_until: datetime


def turns(budget: Budget, deadlines: Sequence[datetime]) -> Turns:
    """A turn for each login in order, one after the other; what would come too late takes no turn from the others."""
    spent, due = max(budget.spent_until, budget.at), list[datetime | None]()
    for deadline in deadlines:
        turn = spent + budget.one - WINDOW
        if turn <= deadline:
            spent += budget.one
        due.append(turn if turn <= deadline else None)
    return Turns(due, spent)
