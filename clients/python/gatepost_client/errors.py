"""What can go wrong, by who acts next. The text of each says what happened and what to do."""

from typing import Any, ClassVar


class GatepostError(Exception):
    """The root. `name` is the problem's (`urn:gatepost:<name>`, docs/problems.md), `status` the HTTP status or 0."""

    do: ClassVar[str] = "Look the name up in Gatepost's docs/problems.md."

    def __init__(self, name: str, detail: str = "", status: int = 0, **more: Any) -> None:
        super().__init__(f"{name}: {detail} {self.do}" if detail else f"{name}: {self.do}")
        self.name = name
        self.detail = detail
        self.status = status
        self.more = more
        """The problem's own members, like `attempts_left` or `field`."""


class BadRequest(GatepostError):
    """The request itself is wrong: the same again fails the same way."""

    do = "Mend the request; `detail` names the field."


class BadClient(GatepostError):
    """Gatepost does not know this client, or it is switched off."""

    do = "Check client_id and secret: `gatepost clients list`."


class WrongAddress(GatepostError):
    """What answers at this address is another service."""

    do = "Say where the gateway and the session store are: `Gatepost(url, session_store=…)`."


class Forbidden(GatepostError):
    """The client is known, but has not the scope or the account for this call."""

    do = "Use a client with the scope, of the user's account: `gatepost clients create`."


class FeedStopped(Forbidden):
    """Too many wrong codes came in on logins that this client fed."""

    do = "Find out why; then an administrator runs `gatepost clients resume-feed`."


class NotFound(GatepostError):
    """No such login or reference, or one of another account."""

    do = "Check the handle or the reference; a login is gone soon after its code."


class InvalidCredentials(GatepostError):
    """Username or password is wrong, the user is disabled, or the account suspended: Gatepost does not say which."""

    do = "Let the person try again."


class WrongCode(GatepostError):
    """The code is not this login's. `attempts_left` says how often the person may still try."""

    do = "Let the person try again, or send the code again."

    @property
    def attempts_left(self) -> int:
        return int(self.more.get("attempts_left", 0))


class LoginClosed(GatepostError):
    """The login is over: `reason` is used, expired, too-many-attempts, sessions-expired or contact-changed."""

    do = "Start a new login."

    @property
    def reason(self) -> str:
        return str(self.more.get("reason", ""))


class Conflict(GatepostError):
    """Something else holds what the call asks for: a channel that is off, a user who was changed meanwhile."""

    do = "`detail` says what there is instead."


class TooMany(GatepostError):
    """A limit is spent. `retry_after` is in seconds; for people it may be many minutes."""

    do = "Wait for `retry_after` seconds."

    def __init__(self, name: str, detail: str = "", status: int = 429, retry_after: float = 1.0, **more: Any) -> None:
        super().__init__(name, detail, status, **more)
        self.retry_after = retry_after


class Unavailable(GatepostError):
    """Gatepost cannot answer now; it was asked again for as long as the client's `patience`. Never read it as "no"."""

    do = "Try again in `retry_after` seconds; tell the person to wait."

    def __init__(self, name: str, detail: str = "", status: int = 503, retry_after: float = 1.0, **more: Any) -> None:
        super().__init__(name, detail, status, **more)
        self.retry_after = retry_after


class Unexpected(GatepostError):
    """An answer that this version does not understand, or a defect on the other side."""

    do = "Report it with its name and status; perhaps gatepost_client is older than the services."


class FollowedElsewhere(GatepostError):
    """Two newer streams follow this login; the oldest gives way."""

    do = "Follow a login once, or ask for its `state`."


_BY_NAME: dict[str, type[GatepostError]] = {
    "invalid-credentials": InvalidCredentials,
    "wrong-code": WrongCode,
    "login-closed": LoginClosed,
    "feed-stopped": FeedStopped,
}
_BY_STATUS: dict[int, type[GatepostError]] = {
    400: BadRequest,
    401: BadClient,
    403: Forbidden,
    404: NotFound,
    409: Conflict,
    410: LoginClosed,
    413: BadRequest,
    415: BadRequest,
    422: BadRequest,
}
_MEMBERS = frozenset({"type", "title", "status", "detail"})


def error_of(status: int, problem: dict[str, Any], retry_after: float) -> GatepostError:
    """The exception for an answer that is no success; `problem` is its RFC 9457 document, or empty."""
    name = str(problem.get("type", "")).removeprefix("urn:gatepost:") or f"http-{status}"
    detail = str(problem.get("detail", ""))
    more = {key: value for key, value in problem.items() if key not in _MEMBERS}
    more = {key: value for key, value in more.items() if key not in ("self", "name", "retry_after")}
    if status == 429:
        return TooMany(name, detail, status, retry_after, **more)
    if status in (502, 503, 504):
        return Unavailable(name, detail, status, retry_after, **more)
    kind = _BY_NAME.get(name) or _BY_STATUS.get(status, Unexpected)
    return kind(name, detail, status, **more)
