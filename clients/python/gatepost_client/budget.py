"""How many logins an account may still feed, and when the next fit: by the RateLimit fields of each answer
(draft-ietf-httpapi-ratelimit-headers-11).
"""

import math
import re
from typing import Final, NamedTuple

from multidict import CIMultiDictProxy

POLICY: Final = '"logins"'
TEXT: Final = r'"(?:[ !#-\[\]-~]|\\["\\])*"'
PARAMETER: Final = rf";\s*([a-z*][a-z0-9_.*-]*)(?:=({TEXT}|[^\s\",;]+))?"
MEMBER: Final = re.compile(rf"({TEXT})((?:{PARAMETER})*)")
MOST_DIGITS: Final = 9


class Budget(NamedTuple):
    """What the account may feed by all of its roads, as the last answer said: `left` now, of `most` in `seconds`. It
    fills up evenly.
    """

    left: int
    most: int
    seconds: int


class Pace:
    """When the next logins fit, if nobody else feeds. Times are seconds of a clock that only goes on."""

    def __init__(self) -> None:
        self.budget: Budget | None = None
        self._told_at = 0.0
        self._under_way = 0

    def take(self, logins: int, now: float) -> float:
        """In how many seconds they fit. They count as under way until `answered`: an answer to another call may or may
        not have counted them.
        """
        self._under_way += logins
        if self.budget is None:
            return 0.0
        rate = self.budget.most / self.budget.seconds
        return min(max(0.0, (self._under_way - self._there(now)) / rate), self.budget.seconds)

    def answered(self, logins: int) -> None:
        self._under_way -= logins

    def told(self, headers: CIMultiDictProxy[str], now: float, asked_at: float) -> None:
        """An answer that says nothing, or what is not understood, changes nothing. One that was overtaken by the answer
        to a later call does not count that call: the lower of both is true.
        """
        found = budget_of(headers)
        if found is None or (asked_at < self._told_at and self._there(now) < found.left):
            return
        self.budget, self._told_at = found, now

    def _there(self, now: float) -> float:
        """What is left, and what came in since; without a budget no end of it."""
        if self.budget is None:
            return math.inf
        rate = self.budget.most / self.budget.seconds
        return min(self.budget.most, self.budget.left + (now - self._told_at) * rate)


def budget_of(headers: CIMultiDictProxy[str]) -> Budget | None:
    limit, policy = _member(headers, "RateLimit"), _member(headers, "RateLimit-Policy")
    left, most, seconds = _number(limit, "r"), _number(policy, "q"), _number(policy, "w")
    return Budget(left, most, seconds) if left is not None and most and seconds else None


def _member(headers: CIMultiDictProxy[str], field: str) -> dict[str, str]:
    """The parameters of our policy in a list (RFC 9651, section 3.1), where others may stand too."""
    for member in MEMBER.finditer(", ".join(headers.getall(field, []))):
        if member[1] == POLICY:
            return {name: value for name, value in re.findall(PARAMETER, member[2])}
    return {}


def _number(parameters: dict[str, str], name: str) -> int | None:
    value = parameters.get(name, "")
    return int(value) if value.isascii() and value.isdigit() and len(value) <= MOST_DIGITS else None
