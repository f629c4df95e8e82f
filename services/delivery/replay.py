"""Replay knows that codes expire: what is still open is sent again, the rest is skipped with its reason.

It is a job: counted when it is made, then carried on by whichever worker comes by (`replaying.py`), newest first, since
who asked last is the likeliest to wait still. Each message is judged at the moment when it is its turn.
"""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Annotated, Any, Final, Literal, NamedTuple, Protocol
from uuid import UUID

import msgspec

from services.delivery.deliveries import Wanted
from services.delivery.states import Reason
from services.platform.auth import EVERY, Who

AT_ONCE: Final = 1000
COUNTED_AT_MOST: Final = 100_000
PER_MINUTE: Final = 10
ID_FORM: Final = r"^[A-Za-z0-9_-]{1,64}$"
FILTERS: Final = Wanted.__struct_fields__
REPLAYED: Final = "replayed"
ARRIVED: Final = "arrived-meanwhile"

JobState = Literal["running", "done", "stopped"]


class Request(Wanted, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`replay_id` names the click: the same one again sends nothing twice. Without `state`: all that did not arrive.
    `per_second`: messages, whatever the number of workers.
    """

    replay_id: str | None = None
    dry_run: bool = False
    per_second: Annotated[float, msgspec.Meta(ge=0.1)] | None = None


class Place(NamedTuple):
    """A row of the ledger, newest first; a page begins after it."""

    at: datetime
    id: UUID


class Candidate(NamedTuple):
    """The newest row of a login and channel that matches."""

    id: UUID
    login_id: UUID
    channel: str
    user_id: UUID
    recipient: bytes | None
    reason: str | None
    created_at: datetime
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


class Counted(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """A dry run. `more`: counting ended at 100,000. `without`: what would match without that filter, if nothing did."""

    matched: int
    counts: dict[str, int]
    more: bool = False
    without: dict[str, int] = {}


class Missed(msgspec.Struct, frozen=True, kw_only=True):
    """Messages that a replay sent and that did not arrive again, for one reason."""

    state: str
    reason: str | None
    channel: str
    provider: str | None
    many: int


class Replay(msgspec.Struct, frozen=True, kw_only=True):
    """`planned` is what was counted when it was made, `counts` what came of it so far: `replayed` and one number for
    each reason to skip. `became`: where the messages stand that it sent; `not_arrived`: those that failed again.
    """

    replay_id: str
    account: str
    state: JobState
    by: str
    at: datetime
    filter: dict[str, Any]
    per_second: float
    matched: int
    more: bool
    planned: dict[str, int]
    counts: dict[str, int]
    ended_at: datetime | None = None
    stopped_by: str | None = None
    seconds_left: int | None = None
    became: dict[str, int] | None = None
    not_arrived: Sequence[Missed] | None = None
    without: dict[str, int] = {}
    repeated: bool = False


class TooManyReplays(Exception):
    """More than ten in a minute."""


class AnotherRuns(Exception):
    """A replay of that account is not over; the text is its id."""


class IdTaken(Exception):
    """Another replay has this id: its filter differs."""


class Replays(Protocol):
    """The part of Postgres that making a replay needs; `begin` is one transaction."""

    async def candidates(self, of: Wanted, after: Place | None, limit: int) -> list[Candidate]: ...
    async def count_without(self, of: Wanted) -> dict[str, int]: ...
    async def begin(self, asked: "Asked", planned: Counted, who: Who) -> Replay: ...
    async def again(self, asked: "Asked", who: Who) -> Replay | None: ...
    async def lately(self, who: str) -> int: ...


class Asked(NamedTuple):
    """A replay as it is wanted: the key, what it picks, how fast. `default_rate`: nobody said how fast, so one that
    goes on keeps its own.
    """

    account: str
    replay_id: str
    wanted: Wanted
    per_second: float
    default_rate: bool = False

    @property
    def filter(self) -> dict[str, Any]:
        return filter_of(self.wanted)


def verdict(found: Candidate, now: datetime, limits: Limits, user: int = 0, recipient: int = 0) -> str:
    """`replayed`, or why not. `user` and `recipient` count what this replay gave them already."""
    if found.why is not None:
        return "used" if found.why == "verified" else f"closed:{found.why}"
    if found.expires_at <= now:
        return "expired"
    if found.reason in (Reason.NO_CONTACT, Reason.CONTACTS_BROKEN):
        return "no-contact"
    if found.under_way:
        return "under-way"
    return "limit" if _is_spent(found, limits, user, recipient) else REPLAYED


def _is_spent(found: Candidate, limits: Limits, user: int, recipient: int) -> bool:
    by_user = found.user_hour + user >= limits.hour or found.user_day + user >= limits.day
    return by_user or found.to_hour + recipient >= limits.hour or found.to_day + recipient >= limits.day


class Sorting:
    """Judges candidates one after the other; what it chose counts in the limits of those that follow."""

    def __init__(self, limits: Limits) -> None:
        self._limits = limits
        self._users: Counter[tuple[UUID, str]] = Counter()
        self._recipients: Counter[bytes] = Counter()
        self.counts: Counter[str] = Counter({REPLAYED: 0})

    def is_chosen(self, one: Candidate, now: datetime) -> bool:
        user, to = (one.user_id, one.channel), one.recipient
        what = verdict(one, now, self._limits, self._users[user], self._recipients[to] if to else 0)
        self.counts[what] += 1
        if what != REPLAYED:
            return False
        self._users[user] += 1
        if to:
            self._recipients[to] += 1
        return True


class Sorted(NamedTuple):
    """`looked`: how many were judged before enough were chosen."""

    chosen: list[Candidate]
    counts: dict[str, int]
    looked: int


def sorted_out(found: Sequence[Candidate], now: datetime, limits: Limits, most: int = AT_ONCE) -> Sorted:
    sorting, chosen, looked = Sorting(limits), list[Candidate](), 0
    for one in found:
        if len(chosen) == most:
            break
        looked += 1
        if sorting.is_chosen(one, now):
            chosen.append(one)
    return Sorted(chosen, dict(sorting.counts), looked)


async def count(replays: Replays, wanted: Wanted, now: datetime, limits: Limits) -> Counted:
    """Page by page, so that neither memory nor a statement grows with the outage."""
    sorting, after, matched = Sorting(limits), None, 0
    while matched < COUNTED_AT_MOST:
        found = await replays.candidates(wanted, after, AT_ONCE)
        matched += len(found)
        for one in found:
            sorting.is_chosen(one, now)
        if len(found) < AT_ONCE:
            without = {} if matched else await replays.count_without(wanted)
            return Counted(matched=matched, counts=dict(sorting.counts), without=without)
        after = place_of(found[-1])
    return Counted(matched=matched, counts=dict(sorting.counts), more=True)


async def would_send(replays: Replays, wanted: Wanted, now: datetime, limits: Limits, most: int) -> Counted:
    """The beginning of a dry run: the newest `most` that match. `more`: there may be others that were not judged."""
    found = await replays.candidates(wanted, None, most)
    judged = sorted_out(found, now, limits, most)
    return Counted(matched=len(found), counts=judged.counts, more=len(found) == most)


async def create(replays: Replays, asked: Asked, who: Who, now: datetime, limits: Limits) -> Replay:
    """Count and begin; a used id goes on where it stands. Raises `TooManyReplays`, `AnotherRuns`, `IdTaken`."""
    if earlier := await replays.again(asked, who):
        return earlier
    if await replays.lately(who.name) >= PER_MINUTE:
        raise TooManyReplays
    return await replays.begin(asked, await count(replays, asked.wanted, now, limits), who)


def with_rest(planned: dict[str, int], more: bool, counts: dict[str, int]) -> dict[str, int]:
    """At the end: what was counted and matches no longer was settled by another replay, a resend or a late receipt."""
    rest = sum(planned.values()) - sum(counts.values())
    return counts if more or rest <= 0 else counts | {ARRIVED: rest}


def place_of(one: Candidate) -> Place:
    return Place(one.created_at, one.id)


def filter_of(wanted: Wanted) -> dict[str, Any]:
    given = {name: getattr(wanted, name) for name in FILTERS}
    kept: dict[str, Any] = msgspec.to_builtins({name: value for name, value in given.items() if value is not None})
    return kept


def wanted_of(kept: dict[str, Any]) -> Wanted:
    """A replay from before may have kept more than its filter."""
    return msgspec.convert({name: value for name, value in kept.items() if name in FILTERS}, Wanted)


def account_in(wanted: Wanted) -> str:
    """Whose replay it is: each account has ids of its own."""
    return str(wanted.account) if wanted.account else EVERY


def cause_of(replay_id: str, account: str) -> str:
    """A replay over all accounts has causes of its own, so that none of theirs is taken for it."""
    return f"replay:*:{replay_id}" if account == EVERY else f"replay:{replay_id}"


def seconds_left(state: JobState, planned: dict[str, int], counts: dict[str, int], per_second: float) -> int | None:
    if state != "running":
        return None
    return round(max(0, planned.get(REPLAYED, 0) - counts.get(REPLAYED, 0)) / per_second)
