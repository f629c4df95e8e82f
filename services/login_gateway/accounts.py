"""Accounts: what may be set, in which range, and what a change means."""

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final, NamedTuple
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.login_gateway.states import AccountState
from services.platform.http import Problem

HOUR: Final = 3600
DAY: Final = 86_400
NAME: Final = re.compile(r"[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?")


class Range(NamedTuple):
    least: int
    most: int
    usual: int
    words: str


RANGES: Final[Mapping[str, Range]] = {
    "session_seconds": Range(HOUR, 365 * DAY, 90 * DAY, "1 hour to 365 days"),
    "code_digits": Range(6, 10, 6, "digits"),
    "code_seconds": Range(60, 600, 300, "seconds"),
    "feed_per_minute": Range(500, 600_000, 12_000, "logins that platforms feed in a minute, by both roads"),
}


class EditSettings(msgspec.Struct, forbid_unknown_fields=True):
    session_seconds: int | UnsetType = UNSET
    code_digits: int | UnsetType = UNSET
    code_seconds: int | UnsetType = UNSET
    feed_per_minute: int | UnsetType = UNSET

    def given(self) -> dict[str, int]:
        """The settings that were sent, each in its range; raises 422 `setting-out-of-range` that says it."""
        return {
            name: in_range(name, value) for name, value in msgspec.structs.asdict(self).items() if value is not UNSET
        }


class NewAccount(msgspec.Struct, forbid_unknown_fields=True):
    name: str
    settings: EditSettings = msgspec.field(default_factory=EditSettings)


class EditAccount(msgspec.Struct, forbid_unknown_fields=True):
    name: str | UnsetType = UNSET
    state: AccountState | UnsetType = UNSET
    settings: EditSettings = msgspec.field(default_factory=EditSettings)


class Settings(msgspec.Struct):
    session_seconds: int
    code_digits: int
    code_seconds: int
    feed_per_minute: int


class AccountView(msgspec.Struct, omit_defaults=True):
    """`effective`: whether what follows from a change has reached the session store (`now`) or will (`queued`)."""

    account_id: UUID
    name: str
    state: AccountState
    settings: Settings
    created_at: datetime
    effective: str | None = None

    @classmethod
    def of(cls, row: Any, effective: str | None = None) -> "AccountView":
        settings = Settings(**{name: row[name] for name in RANGES})
        return cls(row["account_id"], row["name"], row["state"], settings, row["created_at"], effective)


def in_range(name: str, value: int) -> int:
    allowed = RANGES[name]
    if not allowed.least <= value <= allowed.most:
        detail = f"{name} must be {allowed.least} to {allowed.most} ({allowed.words})."
        raise Problem(422, "setting-out-of-range", detail, field=f"settings.{name}")
    return value


def checked_name(name: str) -> str:
    """A name stands in paths beside ids, so it must not read as one."""
    if not NAME.fullmatch(name) or as_id(name) is not None:
        detail = "An account's name has 1 to 63 lower-case letters, digits and inner hyphens, and is no UUID."
        raise Problem(422, "bad-name", detail, field="name")
    return name


def as_id(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None


def name_taken(name: str) -> Problem:
    return Problem(409, "account-name-taken", f"There is an account named {name} already. Choose another name.")
