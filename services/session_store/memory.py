"""What a process knows without asking: floors, policies, revocations, and the sessions it saw lately."""

import base64
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple
from uuid import UUID

from cachetools import LRUCache

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.session_store.policy import Policy, ends_at

CACHED: Final = 200_000
SessionEvent = Verified | ExpireAll | SessionPolicyChanged | SessionRevoked


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
            UUID(event.account_id),
            UUID(event.user_id),
            event.issued_at.timestamp(),
            event.auth_time.timestamp(),
            base64.urlsafe_b64decode(event.secret_hash),
            event.amr,
            event.acr,
            event.aud,
            event.role,
            event.claims,
            event.device,
            event.account_epoch,
            event.user_epoch,
        )

    @classmethod
    def of_row(cls, row: Mapping[str, Any]) -> "Session":
        times = {name: row[name].timestamp() for name in ("issued_at", "auth_time")}
        return cls(**{**{name: row[name] for name in cls._fields}, **times, "amr": tuple(row["amr"])})


@dataclass
class Rules:
    """What ends sessions. Applying an event twice, late or out of order changes nothing."""

    floors: dict[tuple[str, UUID], int] = field(default_factory=dict)
    policies: dict[UUID, list[Policy]] = field(default_factory=dict)
    revoked: set[UUID] = field(default_factory=set)
    stopped: set[UUID] = field(default_factory=set)

    def raise_floor(self, scope: str, of: UUID, floor: int) -> None:
        self.floors[scope, of] = max(floor, self.floors.get((scope, of), 0))

    def add_policy(self, account_id: UUID, policy: Policy) -> None:
        known = self.policies.setdefault(account_id, [])
        if policy not in known:
            known.append(policy)
            known.sort()

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
        self.sessions: LRUCache[UUID, Session] = LRUCache(size)

    def apply(self, event: SessionEvent) -> None:
        """One event of the topic; the same rules as `apply.py` writes to Postgres."""
        match event:
            case Verified():
                session = Session.of_event(event)
                self.sessions.setdefault(session.login_id, session)
            case ExpireAll():
                self.rules.raise_floor(event.scope, UUID(event.whose), event.floor)
            case SessionPolicyChanged():
                policy = Policy(event.effective_at.timestamp(), event.max_age)
                self.rules.add_policy(UUID(event.account_id), policy)
            case SessionRevoked():
                self.rules.revoked.add(UUID(event.login_id))
