"""How long a session lives: a timeline of lengths, in closed form."""

from collections.abc import Sequence
from typing import Final, NamedTuple

USUAL_SECONDS: Final = 90 * 86_400
GATEPOST_SECONDS: Final = 12 * 3600


class Policy(NamedTuple):
    """From `effective_at` (Unix seconds) on, sessions last `max_age` seconds."""

    effective_at: float
    max_age: float


def ends_at(born: float, policies: Sequence[Policy], audience: str = "apps") -> float:
    """When a session of that birth ends. `policies` are in order of time; before the first, 90 days hold.

    It ends at the first moment at which it was older than the length then in force: shorter takes effect at once,
    longer prolongs what is alive, and nothing that ended comes back.
    """
    cap = born + GATEPOST_SECONDS if audience == "gatepost" else float("inf")
    timeline = [Policy(float("-inf"), USUAL_SECONDS), *policies]
    for i, policy in enumerate(timeline):
        until = timeline[i + 1].effective_at if i + 1 < len(timeline) else float("inf")
        end = max(born, policy.effective_at, born + policy.max_age)
        if until > born and end < until:
            return min(end, cap)
    return cap
