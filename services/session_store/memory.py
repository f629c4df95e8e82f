"""What a process knows without asking: floors, policies, revocations, and the sessions it saw lately."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final, NamedTuple, TypeVar, assert_never
from uuid import UUID

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.session_store.policy import Policy, ends_at
from services.session_store.recent import Recent

CACHED: Final = 300_000
NEW_SECONDS: Final = 60.0
REVOKED_SECONDS: Final = 10 * NEW_SECONDS
T = TypeVar("T")
SessionEvent = Verified | ExpireAll | SessionPolicyChanged | SessionRevoked


class Stop(NamedTuple):
    """A signed event of a type that this version does not know: its account is stopped, the event not skipped."""

    account_id: UUID
    event_type: str


Change = SessionEvent | Stop


class Place(NamedTuple):
    """Where on the topic. What this process wrote to Postgres itself is nowhere, and every writer is past it."""

    partition: int = -1
    offset: int = -1


NOWHERE: Final = Place()


class Learned(NamedTuple):
    at: float
    place: Place


NO_CLAIMS: Final[Mapping[str, Any]] = {}
SHARED: Final = ("account_id", "amr", "acr", "aud", "role", "account_epoch", "user_epoch")


@lru_cache(maxsize=4096)
def _shared(value: T) -> T:
    """What many sessions have alike is kept once: it is most of what one takes."""
    return value


class Session(NamedTuple):
    """One session as the store keeps it."""

    login_id: UUID
    account_id: UUID
    user_id: UUID
    issued_at: float
    auth_time: float
    secret_hash: bytes
    amr: tuple[str, ...]
    acr: str
    aud: str
    role: str
    claims: Mapping[str, Any]
    device: str | None
    account_epoch: int
    user_epoch: int

    @classmethod
    def of_event(cls, event: Verified) -> "Session":
        return cls(
            UUID(event.login_id),
            _shared(UUID(event.account_id)),
            UUID(event.user_id),
            event.issued_at.timestamp(),
            event.auth_time.timestamp(),
            base64.urlsafe_b64decode(event.secret_hash),
            _shared(event.amr),
            _shared(event.acr),
            event.aud,
            _shared(event.role),
            event.claims or NO_CLAIMS,
            event.device,
            _shared(event.account_epoch),
            _shared(event.user_epoch),
        )

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Session":
        values = {name: row[name] for name in cls._fields} | {"amr": tuple(row["amr"])}
        values |= {name: row[name].timestamp() for name in ("issued_at", "auth_time")}
        values |= {name: _shared(values[name]) for name in SHARED}
        return cls(**{**values, "claims": row["claims"] or NO_CLAIMS})


class Found(NamedTuple):
    """What is known of a login: its session, or that it was revoked, or (yet) neither."""

    session: Session | None
    revoked: bool = False


@dataclass
class Rules:
    """What ends sessions. Applying an event twice, late or out of order changes nothing."""

    floors: dict[tuple[str, UUID], int] = field(default_factory=dict)
    policies: dict[UUID, list[Policy]] = field(default_factory=dict)
    revoked: dict[UUID, Learned] = field(default_factory=dict)
    stopped: set[UUID] = field(default_factory=set)

    def raise_floor(self, scope: str, of: UUID, floor: int) -> None:
        self.floors[scope, of] = max(floor, self.floors.get((scope, of), 0))

    def add_policy(self, account_id: UUID, policy: Policy) -> None:
        known = self.policies.setdefault(account_id, [])
        if policy not in known:
            known.append(policy)
            known.sort()

    def forget(self, now: float, passed: Mapping[int, int]) -> None:
        """Drop revocations that Postgres has for certain (`passed`: the writer's next offset of each partition).

        They outlive that by far: a `Verified` that came late must not bring a session back, and memory takes none
        that is older than `NEW_SECONDS`.
        """
        done = [
            login_id
            for login_id, (at, place) in self.revoked.items()
            if at < now - REVOKED_SECONDS and passed.get(place.partition, 0) > place.offset
        ]
        for login_id in done:
            del self.revoked[login_id]

    def end_of(self, session: Session) -> float:
        """When the session ends by its account's policies, in Unix seconds."""
        return ends_at(session.issued_at, self.policies.get(session.account_id, ()), session.aud)

    def lets_live(self, session: Session, now: float) -> bool:
        """Known, not revoked, both epochs at or above the floors, and its policies let it live."""
        return (
            session.login_id not in self.revoked
            and session.account_epoch >= self.floors.get(("account", session.account_id), 0)
            and session.user_epoch >= self.floors.get(("user", session.user_id), 0)
            and now < self.end_of(session)
        )


class Memory:
    """The rules and a bounded cache of sessions."""

    def __init__(self, size: int = CACHED) -> None:
        self.rules = Rules()
        self.sessions: Recent[Session] = Recent(size)

    def apply(self, change: Change, now: float, place: Place = NOWHERE) -> None:
        """One event; the same rules as `apply.py` writes to Postgres. `now` is the database's clock."""
        match change:
            case Verified():
                self._begin(Session.of_event(change), now)
            case ExpireAll():
                self.rules.raise_floor(change.scope, UUID(change.whose), change.floor)
            case SessionPolicyChanged():
                policy = Policy(change.effective_at.timestamp(), change.max_age)
                self.rules.add_policy(UUID(change.account_id), policy)
            case SessionRevoked():
                self.revoke(UUID(change.login_id), now, place)
            case Stop():
                self.rules.stopped.add(change.account_id)
            case _:
                assert_never(change)

    def knows(self, change: Change) -> bool:
        """Whether applying it would end nothing that this memory has not ended already."""
        match change:
            case ExpireAll():
                return self.rules.floors.get((change.scope, UUID(change.whose)), 0) >= change.floor
            case SessionPolicyChanged():
                policy = Policy(change.effective_at.timestamp(), change.max_age)
                return policy in self.rules.policies.get(UUID(change.account_id), ())
            case SessionRevoked():
                return UUID(change.login_id) in self.rules.revoked
            case Stop():
                return change.account_id in self.rules.stopped
        return False

    def revoke(self, login_id: UUID, now: float, place: Place = NOWHERE) -> None:
        self.rules.revoked[login_id] = Learned(now, place)
        self.sessions.pop(login_id, None)

    def keep(self, session: Session) -> None:
        """Remember a session that Postgres gave, unless its end was heard of meanwhile."""
        if session.login_id not in self.rules.revoked:
            self.sessions[session.login_id] = session

    def _begin(self, session: Session, now: float) -> None:
        """An old one may have been revoked longer ago than memory reaches: the first check asks Postgres for it."""
        if abs(now - session.issued_at) < NEW_SECONDS and session.login_id not in self.sessions:
            self.keep(session)
