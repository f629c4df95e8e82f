"""Whom an application lets in: the rule that both middlewares share."""

import json
import logging
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from gatepost_client.answers import Session
from gatepost_client.cookies import HOST
from gatepost_client.errors import GatepostError, Unavailable
from gatepost_client.introspection import Sessions

log = logging.getLogger("gatepost_client")
ROLES: Final = frozenset({"user", "admin", "operator"})
ACR: Final = "urn:gatepost:acr:"
ACRS: Final = frozenset(f"{ACR}{name}" for name in ("pwd", "pwd+sms", "pwd+email", "fed", "fed+sms", "fed+email"))


@dataclass(frozen=True, kw_only=True)
class Door:
    """`account` is the account's id. `roles`, `acrs`: one of them is enough, None takes any. `cookie` is the name of
    the session cookie (`session_cookie`); None reads bearer tokens only. `public`: path prefixes that are open to
    everybody; whoever is signed in is known there too.
    """

    account: str
    roles: frozenset[str] | None = None
    acrs: frozenset[str] | None = None
    cookie: str | None = HOST
    public: tuple[str, ...] = field(default=())

    def __post_init__(self) -> None:
        """A slip of the pen must not look like people without rights."""
        for given, known in ((self.roles, ROLES), (self.acrs, ACRS)):
            if given is not None and not given <= known:
                raise ValueError(f"{', '.join(sorted(given - known))}: use some of {', '.join(sorted(known))}")

    def is_public(self, path: str) -> bool:
        """Whether the path is one of `public`, or lies below it; one that climbs out again (`..`) does not count."""
        return ".." not in path.split("/") and any(
            path == open_ or path.startswith(open_.rstrip("/") + "/") for open_ in self.public
        )


class Shut(NamedTuple):
    """An answer instead of the application's: a problem document."""

    status: int
    name: str
    detail: str
    headers: dict[str, str]

    def body(self) -> bytes:
        title = self.name.replace("-", " ").capitalize()
        said = {"type": f"urn:gatepost:{self.name}", "title": title, "status": self.status, "detail": self.detail}
        return json.dumps(said).encode()


SIGNED_OUT: Final = Shut(401, "not-signed-in", "Sign in first.", {"WWW-Authenticate": "Bearer"})


async def judged(door: Door, sessions: Sessions, token: str, path: str) -> Session | Shut | None:
    """The session, or the answer that shuts the door; None: nobody, at a public path."""
    try:
        session = await sessions.introspect(token) if token else None
    except GatepostError as away:
        shut = _cannot_tell(away)
        return None if door.is_public(path) else shut
    if door.is_public(path):
        return session if session is not None and _refusal(door, session) is None else None
    if session is None or session.aud != "apps":
        return SIGNED_OUT
    why = _refusal(door, session)
    return session if why is None else Shut(403, "forbidden", why, {})


def _refusal(door: Door, session: Session) -> str | None:
    if session.account != door.account or session.aud != "apps":
        return "This session belongs to another account."
    if door.roles is not None and session.role not in door.roles:
        return "This session has another role."
    if door.acrs is not None and session.acr not in door.acrs:
        return "This session was opened another way."
    return None


def _cannot_tell(error: GatepostError) -> Shut:
    log.warning("could not introspect: %s", error.name)
    wait = error.retry_after if isinstance(error, Unavailable) else 1.0
    headers = {"Retry-After": str(max(1, round(wait)))}
    return Shut(503, "session-store-unavailable", "Nobody can tell now whether you are signed in.", headers)
