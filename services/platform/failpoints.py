"""Named points at which a process kills itself, for the tests of crashes: `GATEPOST_FAIL_AT`, refused elsewhere."""

import os
import signal
from pathlib import Path
from typing import Final, NamedTuple

POINTS: Final = frozenset(
    (
        "gateway.after-commit",
        "gateway.after-verify",
        "gateway.in-feed",
        "gateway.after-feed",
        "delivery.after-claim",
        "delivery.before-call",
        "delivery.during-call",
        "delivery.after-call",
        "delivery.in-replay",
        "session-store.in-batch",
        "session-store.before-follow",
    )
)


class FailAt(NamedTuple):
    """Which points are live, and the folder whose file of that name makes the next process to come by kill itself."""

    points: frozenset[str]
    folder: Path


def parsed(text: str) -> FailAt:
    """`<point>[,<point>…]@<folder>`. Raises `ValueError` with the name that is no point."""
    names, _, folder = text.partition("@")
    points = frozenset(name.strip() for name in names.split(","))
    if unknown := sorted(points - POINTS):
        raise ValueError(f"no such point: {', '.join(unknown)}; there are {', '.join(sorted(POINTS))}")
    if not Path(folder).is_absolute():
        raise ValueError("give <point>[,<point>…]@<folder>, the folder as an absolute path")
    return FailAt(points, Path(folder))


_live: FailAt | None = None


def arm(fail_at: FailAt | None) -> None:
    """Once, when the settings were read and allowed."""
    global _live  # noqa: PLW0603 - a collaborator passed through every layer would cost more than it is worth
    _live = fail_at


def reached(point: str) -> None:
    """SIGKILL, if the point is live and its file is there. The file goes first: who is started again lives on."""
    if _live is None or point not in _live.points:
        return
    try:
        (_live.folder / point).unlink()
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
