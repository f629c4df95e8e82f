"""What a run leaves behind: the only thing that the checker sees."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple
from uuid import UUID

from schemas.events import AnyEvent

What = Literal["login", "fed", "verify", "expire-user", "expire-account", "introspect"]


class Call(NamedTuple):
    """One call of a client. `status` 0: no answer came. Instants are Unix seconds.

    `who`: the username, or the id of the user or account that is to be expired.
    """

    at: float
    ended: float
    what: What
    who: str
    status: int
    body: Mapping[str, Any]
    login_id: str | None = None
    code: str | None = None

    @property
    def problem(self) -> str:
        return str(self.body.get("type", "")).removeprefix("urn:gatepost:")


class Submission(NamedTuple):
    """One message as the provider or mail server saw it; `ref` is the ledger row that it is for."""

    at: float
    channel: str
    ref: str
    code: str | None
    answered: str
    arrived: bool

    @property
    def accepted(self) -> bool:
        """The sender was told so, if it lived to hear it."""
        return self.answered in ("201", "250")


class Told(NamedTuple):
    """One record of a topic."""

    topic: str
    partition: int
    offset: int
    at: float
    event: AnyEvent


class Offset(NamedTuple):
    """A committed offset as it was seen at that moment."""

    at: float
    cluster: str
    group: str
    topic: str
    partition: int
    next_offset: int


class Moment(NamedTuple):
    """A fault: what, from when to when."""

    name: str
    began: float
    ended: float


Row = Mapping[str, Any]


@dataclass
class Record:
    """One run on one account. `accounts` are its ids; rows are what Postgres holds at the end."""

    seed: int
    accounts: list[UUID] = field(default_factory=list)
    calls: list[Call] = field(default_factory=list)
    submissions: list[Submission] = field(default_factory=list)
    told: list[Told] = field(default_factory=list)
    offsets: list[Offset] = field(default_factory=list)
    faults: list[Moment] = field(default_factory=list)
    healed: float | None = None
    heal_within: float = 30.0
    logins: dict[str, Row] = field(default_factory=dict)
    ledger: dict[str, Row] = field(default_factory=dict)
    log: list[Row] = field(default_factory=list)
    sessions: dict[str, Row] = field(default_factory=dict)
    parked: int = 0

    def of(self, login_id: str, what: What) -> list[Call]:
        return [call for call in self.calls if call.login_id == login_id and call.what == what]

    def events(self, *kinds: type) -> list[Told]:
        return [told for told in self.told if isinstance(told.event, kinds)]

    def accepted(self) -> set[str]:
        """Logins that a client was promised: a handle, or a session at once."""
        return {c.login_id for c in self.calls if c.what in ("login", "fed") and c.status in (200, 202) and c.login_id}

    def rows_of(self, login_id: str) -> list[Row]:
        return [row for row in self.ledger.values() if str(row["login_id"]) == login_id]
