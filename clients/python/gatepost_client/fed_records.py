"""Records of the topic `logins`: a login as an event, signed by the client that feeds it, for any Kafka library."""

import base64
import hashlib
import hmac
import re
from datetime import UTC
from typing import Any, Final, NamedTuple
from uuid import UUID, uuid5

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost_client.answers import Context, FedLogin, FedUser
from gatepost_client.errors import BadRequest
from gatepost_client.events import SIGNATURE_HEADER, Event, Instant

TOPIC: Final = "logins"
PURPOSE: Final = b"gatepost feed key"
SIGNED: Final = b"gatepost logins\n"
IDS: Final = UUID("8a0e8f0c-6c1f-5f0e-9a51-5a2c1b7de9d4")
LONGEST: Final = 512
PHONE_LIKE: Final = re.compile(r"\+?[\d\s().-]{7,}")
YEARS: Final = range(1970, 9999)


class LoginFed(Event, frozen=True, kw_only=True, tag=True, omit_defaults=True):
    """You did the password step and ask for the second one."""

    reference: str
    user: FedUser
    authenticated_at: Instant
    context: Context | None = None


class Record(NamedTuple):
    """What is written to the topic `logins`. The same login makes the same record."""

    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]


class Signer:
    """`client` is `(client_id, secret)` of a client of one account with scope `feed`, `account` that account's id."""

    def __init__(self, client: tuple[str, str], account: str, *, source: str = "platform") -> None:
        self._client_id, secret = client
        self._account = _id(account)
        self._source = source
        if not (self._client_id and secret):
            raise ValueError("client is (client_id, secret), as `gatepost clients create` gave them")
        if not 1 <= len(source) <= 128:
            raise ValueError("source has 1 to 128 characters")
        seed = hmac.digest(secret.encode(), PURPOSE, hashlib.sha256)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)

    def record(self, login: FedLogin) -> Record:
        """Raises `BadRequest` for what Gatepost would not take, by its name for that (docs/feeds.md). `ip` and
        `user_agent` are left out: Gatepost has no use for them here, and who reads the topic would see them.
        """
        login = checked(login)
        value = _encoded(self._event(login))
        return Record(login.reference.encode(), value, [(SIGNATURE_HEADER, self._signature(value))])

    def _signature(self, value: bytes) -> bytes:
        return self._client_id.encode() + b":" + base64.urlsafe_b64encode(self._key.sign(SIGNED + value))

    def _event(self, login: FedLogin) -> LoginFed:
        at, where = login.authenticated_at.astimezone(UTC), login.context or Context()
        travels = Context(locale=where.locale, origin=where.origin, device_id=where.device_id)
        return LoginFed(
            id=str(uuid5(IDS, f"{self._account}\n{login.reference}\n{at.isoformat()}")),
            source=self._source,
            time=at,
            account_id=self._account,
            reference=login.reference,
            user=login.user,
            authenticated_at=at,
            context=travels if travels != Context() else None,
        )


def checked(login: FedLogin) -> FedLogin:
    """The same login, of the types that it says. Raises `BadRequest`."""
    try:
        found = msgspec.convert(msgspec.to_builtins(login), FedLogin)
    except (msgspec.ValidationError, TypeError) as bad:
        raise BadRequest("invalid", f"{bad}.") from None
    _check_reference(found.reference)
    if (found.user.user_id is None) == (found.user.external_id is None):
        raise BadRequest("one-of-user-id-and-external-id", "`user` has both or neither.")
    if found.authenticated_at.tzinfo is None:
        raise BadRequest("time-without-zone", "`authenticated_at` has no zone: datetime.now(UTC) has one.")
    if found.authenticated_at.year not in YEARS:
        raise BadRequest("invalid", "`authenticated_at` is no time of our calendar.")
    _check_context(found.context or Context())
    return found


def _check_reference(reference: str) -> None:
    if not 1 <= len(reference) <= 128 or not reference.isprintable():
        raise BadRequest("bad-reference", "A reference has 1 to 128 printable characters.")
    if "@" in reference or PHONE_LIKE.fullmatch(reference):
        raise BadRequest("bad-reference", "A reference travels in events: no e-mail address and no phone number.")


def _check_context(context: Context) -> None:
    said = [text for text in (context.locale, context.origin, context.device_id) if text is not None]
    if any(len(text) > LONGEST or "\x00" in text for text in said):
        raise BadRequest("bad-context", f"A value of `context` holds U+0000 or over {LONGEST} characters.")


def _encoded(event: Any) -> bytes:
    try:
        return msgspec.json.encode(event)
    except UnicodeEncodeError:
        raise BadRequest("invalid", "A text is no Unicode.") from None


def _id(account: str) -> str:
    try:
        return str(UUID(account))
    except ValueError:
        raise ValueError(f"account is an id, not {account!r}: `gatepost accounts list` has it") from None
