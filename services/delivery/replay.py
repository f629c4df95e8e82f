"""Replay knows that codes expire: what is still open is sent again, the rest is skipped with its reason."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Final, NamedTuple, Protocol
from uuid import UUID

import msgspec

from services.delivery.deliveries import Wanted
from services.platform.auth import EVERY, Who

AT_ONCE: Final = 1000
PER_MINUTE: Final = 10
ID_FORM: Final = r"^[A-Za-z0-9_-]{1,64}$"


class Request(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`replay_id` names the click: the same one again does nothing. Without `state`: all that did not arrive."""

    replay_id: str | None = None
    dry_run: bool = False


class Candidate(NamedTuple):
    """The newest row of a login and channel that matches."""

    id: UUID
    login_id: UUID
    channel: str
    user_id: UUID
    recipient: bytes | None
    expires_at: datetime
    why: str | None
    under_way: bool
    user_hour: int
    user_day: int
    to_hour: int
    to_day: int


class Limits(NamedTuple):
    """Messages to one user by one channel, and to one recipient; the gateway counts its own by the same numbers."""

    hour: int
    day: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """`counts`: `replayed` and one number for each reason to skip."""

    replay_id: str
    dry_run: bool
    matched: int
    counts: dict[str, int]
    repeated: bool = False


class TooManyReplays(Exception):
    """More than ten in a minute."""


class Replays(Protocol):
    """The part of Postgres that replay needs; `once` is one transaction."""

    async def candidates(self, request: Request) -> list[Candidate]: ...
    async def once(self, replay: Replay, request: Request, chosen: Sequence[Candidate], who: Who) -> Replay: ...
    async def lately(self, who: str) -> int: ...
    async def find(self, replay_id: str, account: str | None) -> Replay | None: ...


def verdict(found: Candidate, now: datetime, limits: Limits, user: int = 0, recipient: int = 0) -> str:
    """`replayed`, or why not. `user` and `recipient` count what this replay gave them already."""
    if found.why is not None:
        return "used" if found.why == "verified" else f"closed:{found.why}"
    if found.expires_at <= now:
        return "expired"
    if found.under_way:
        return "under-way"
    return "limit" if _is_spent(found, limits, user, recipient) else "replayed"


def _is_spent(found: Candidate, limits: Limits, user: int, recipient: int) -> bool:
    by_user = found.user_hour + user >= limits.hour or found.user_day + user >= limits.day
    return by_user or found.to_hour + recipient >= limits.hour or found.to_day + recipient >= limits.day


def sorted_out(found: Sequence[Candidate], now: datetime, limits: Limits) -> tuple[list[Candidate], dict[str, int]]:
    chosen: list[Candidate] = []
    users: Counter[tuple[UUID, str]] = Counter()
    recipients: Counter[bytes | None] = Counter()
    counts: Counter[str] = Counter(replayed=0)
    for one in found:
        user = (one.user_id, one.channel)
        what = verdict(one, now, limits, users[user], recipients[one.recipient] if one.recipient else 0)
        counts[what] += 1
        if what == "replayed":
            chosen.append(one)
            users[user] += 1
            recipients[one.recipient] += 1
    return chosen, dict(counts)


async def replay(replays: Replays, request: Request, who: Who, replay_id: str, now: datetime, limits: Limits) -> Replay:
    """Count, and unless it is a dry run send again. Raises `TooManyReplays`."""
    if earlier := await replays.find(replay_id, account_in(request)):
        return msgspec.structs.replace(earlier, repeated=True)
    chosen, counts = sorted_out(await replays.candidates(request), now, limits)
    result = Replay(replay_id=replay_id, dry_run=request.dry_run, matched=sum(counts.values()), counts=counts)
    if request.dry_run:
        return result
    if await replays.lately(who.name) >= PER_MINUTE:
        raise TooManyReplays
    return await replays.once(result, request, chosen, who)


def account_in(request: Request) -> str:
    """Whose replay it is: each account has ids of its own."""
    return str(request.account) if request.account else EVERY


def cause_of(replay_id: str, account: str) -> str:
    """A replay over all accounts has causes of its own, so that none of theirs is taken for it."""
    return f"replay:*:{replay_id}" if account == EVERY else f"replay:{replay_id}"


def told(replay: Replay, made: int) -> Replay:
    """The counts as they came out: what was taken between counting and sending is under way."""
    counts = dict(replay.counts)
    if late := counts["replayed"] - made:
        counts |= {"replayed": made, "under-way": counts.get("under-way", 0) + late}
    return msgspec.structs.replace(replay, counts=counts)
