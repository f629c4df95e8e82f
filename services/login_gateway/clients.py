"""Clients: programs that call Gatepost. Nobody grants more than they hold."""

import base64
import secrets
from collections.abc import Iterable
from datetime import datetime
from typing import Any, Final

import msgspec
from msgspec import UNSET, UnsetType

from schemas.events import ClientChanged
from services.login_gateway.who import COMMAND_LINE, may_grant_operator
from services.platform.auth import EVERY, Client, Who, foreign
from services.platform.clock import event_id
from services.platform.http import Problem
from services.platform.scopes import Scope

INTERNAL: Final = "internal"
OF_THE_INSTALLATION: Final = "operate"
NOT_AN_ADMINS: Final = frozenset({INTERNAL, OF_THE_INSTALLATION})


class NewClient(msgspec.Struct, forbid_unknown_fields=True):
    """`account` is an id, a name, or `*`; without it, the caller's own."""

    scopes: set[Scope]
    name: str = ""
    account: str | None = None


class EditClient(msgspec.Struct, forbid_unknown_fields=True):
    """`rotate_secret` answers with a new secret; the old one is dead at once in the process that answers, and within a
    second in the gateway's others; delivery and session store hear of it by the topic. `resume_feed` ends a
    `feed-stopped`.
    """

    name: str | UnsetType = UNSET
    scopes: set[Scope] | UnsetType = UNSET
    enabled: bool | UnsetType = UNSET
    rotate_secret: bool = False
    resume_feed: bool = False


class ClientView(msgspec.Struct, omit_defaults=True):
    """`client_secret` is shown once, by the call that made it."""

    client_id: str
    name: str
    account: str
    scopes: list[str]
    enabled: bool
    revision: int
    created_at: datetime
    feed_stopped_at: datetime | None = None
    client_secret: str | None = None

    @classmethod
    def of(cls, row: Any, secret: str | None = None) -> "ClientView":
        shown = {name: row[name] for name in cls.__struct_fields__ if name != "client_secret"}
        return cls(**shown, client_secret=secret)

    def __repr__(self) -> str:
        return f"ClientView({self.client_id})"


def new_client_id() -> str:
    return f"cl_{secrets.token_hex(8)}"


def new_secret() -> str:
    """256 random bits; only their SHA-256 is kept."""
    return secrets.token_urlsafe(32)


def may_grant(who: Who, account: str, scopes: Iterable[str]) -> None:
    """Raises 403 `grants-too-much`, or 404 for an account that is not the caller's."""
    wanted = frozenset(scopes)
    if not isinstance(who, Client):
        _user_may_grant(who.account_id, account, wanted)
        return
    if who.account not in (EVERY, account):
        raise foreign()
    if INTERNAL in wanted and who != COMMAND_LINE:
        raise _too_much("The scope internal is granted only by the command line with database access.")
    if wanted - who.scopes:
        raise _too_much(f"You do not hold {', '.join(sorted(wanted - who.scopes))}.")
    if (account == EVERY or OF_THE_INSTALLATION in wanted) and not may_grant_operator(who):
        raise _too_much("Account * and the scope operate are granted only by a client that has both.")


def may_see(who: Who, account: str) -> None:
    """Another account's client does not exist for the caller."""
    own = who.account if isinstance(who, Client) else who.account_id
    if own not in (EVERY, account):
        raise Problem(404, "not-found", "There is no such client.")


def checked_scopes(scopes: Iterable[str]) -> list[str]:
    found = sorted(set(scopes))
    if not found:
        raise Problem(422, "bad-scopes", "Give at least one scope.", field="scopes")
    return found


def checked_name(name: str) -> str:
    if len(name) > 100 or not name.isprintable():
        raise Problem(422, "bad-name", "A client's name has at most 100 printable characters.", field="name")
    return name


def changed(row: Any, now: datetime) -> ClientChanged:
    """The event that carries a client, as its row is now, to every service."""
    return ClientChanged(
        id=event_id("ClientChanged", row["client_id"], row["revision"]),
        source="gatepost/gateway",
        time=now,
        account_id=row["account"],
        client_id=row["client_id"],
        secret_hash=base64.urlsafe_b64encode(row["secret_hash"]).decode(),
        account=row["account"],
        scopes=tuple(row["scopes"]),
        enabled=row["enabled"],
        revision=row["revision"],
    )


def _user_may_grant(own: str, account: str, wanted: frozenset[str]) -> None:
    """An account's administrator holds everything in it, and nothing of the installation."""
    if account not in (own, EVERY):
        raise foreign()
    if account == EVERY or wanted & NOT_AN_ADMINS:
        raise _too_much("Account * and the scopes operate and internal are not an account administrator's to grant.")


def _too_much(why: str) -> Problem:
    return Problem(403, "grants-too-much", why)
