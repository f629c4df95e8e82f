"""A user's row: contacts sealed, beside them a keyed hash for search and a masked form for lists."""

from datetime import datetime
from typing import Any, Final, Protocol
from uuid import UUID

import msgspec

from schemas.events import Role
from services.login_gateway.users import Kind, Profile, TwoFactor, fold
from services.platform.keys.contacts import (
    BadContact,
    Contacts,
    column_info,
    country_of,
    mask_email,
    mask_phone,
    parse_email,
    parse_phone,
    search_hash,
)
from services.platform.keys.keyring import Ring

COLUMNS: Final = (
    "username",
    "username_key",
    "external_id",
    "name",
    "phone",
    "phone_hash",
    "phone_masked",
    "phone_country",
    "email",
    "email_hash",
    "email_masked",
    "sms_on",
    "email_on",
    "role",
    "kind",
    "disabled",
    "locale",
    "claims",
)
PLAIN: Final = ("username", "external_id", "name", "sms_on", "email_on", "role", "kind", "disabled", "locale", "claims")


class Keys(Protocol):
    """The two rings that contacts need."""

    @property
    def contacts(self) -> Contacts: ...
    @property
    def search(self) -> Ring: ...


class UserView(msgspec.Struct, kw_only=True, omit_defaults=True):
    """A user as the API shows one. `phone` and `email` stand only where one user is asked for, never in lists."""

    user_id: UUID
    account_id: UUID
    username: str
    external_id: str | None
    name: str | None
    phone_masked: str | None
    email_masked: str | None
    two_factor: TwoFactor
    role: Role
    kind: Kind
    disabled: bool
    locked: bool
    locale: str | None
    claims: dict[str, Any]
    version: int
    has_password: bool
    created_at: datetime
    updated_at: datetime
    phone: str | None = None
    email: str | None = None
    warnings: list[str] | None = None
    effective: str | None = None

    def __repr__(self) -> str:
        return f"UserView({self.user_id})"


def columns(keys: Keys, user_id: UUID, user: Profile) -> list[Any]:
    """The values of `COLUMNS`."""
    found = {name: getattr(user, name) for name in PLAIN} | {"username_key": fold(user.username)}
    found |= _phone(keys, user_id, user.phone) | _email(keys, user_id, user.email)
    return [found[name] for name in COLUMNS]


def profile(keys: Keys, row: Any) -> Profile:
    """The other way round: what the row says, contacts opened."""
    phone, email = (opened(keys.contacts, row["user_id"], field, row[field]) for field in ("phone", "email"))
    return Profile(phone=phone, email=email, **{name: row[name] for name in PLAIN})


def opened(contacts: Contacts, user_id: UUID, field: str, sealed: bytes | None) -> str | None:
    """A sealed contact column in clear; raises `SealBroken` or `UnknownKey`."""
    return contacts.open(sealed, info(user_id, field)).decode() if sealed is not None else None


def info(user_id: UUID, field: str) -> str:
    return column_info("contacts", "users", user_id, field)


def masked_view(row: Any) -> UserView:
    """For lists."""
    same = {name: row[name] for name in UserView.__struct_fields__ if name in row.keys() and name not in _SEALED}  # noqa: SIM118 - a Record
    return UserView(
        two_factor=TwoFactor(row["sms_on"], row["email_on"]),
        locked=row["locked_at"] is not None,
        has_password=row["password_hash"] is not None,
        **same,
    )


def full_view(keys: Keys, row: Any) -> UserView:
    """For the one user that was asked for."""
    found, user = masked_view(row), profile(keys, row)
    found.phone, found.email, found.warnings = user.phone, user.email, user.warnings() or None
    return found


_SEALED: Final = frozenset({"phone", "email"})


def contact_hashes(search: Ring, text: str) -> list[bytes]:
    """What a search for that text would find as a whole phone number or e-mail address."""
    found = []
    for kind, parse in (("phone", parse_phone), ("email", parse_email)):
        try:
            found.append(search_hash(search, kind, parse(text)))
        except BadContact:
            continue
    return found


def _phone(keys: Keys, user_id: UUID, phone: str | None) -> dict[str, Any]:
    if phone is None:
        return dict.fromkeys(("phone", "phone_hash", "phone_masked", "phone_country"))
    return {
        "phone": keys.contacts.seal(phone.encode(), info(user_id, "phone")),
        "phone_hash": search_hash(keys.search, "phone", phone),
        "phone_masked": mask_phone(phone),
        "phone_country": country_of(phone),
    }


def _email(keys: Keys, user_id: UUID, email: str | None) -> dict[str, Any]:
    if email is None:
        return dict.fromkeys(("email", "email_hash", "email_masked"))
    return {
        "email": keys.contacts.seal(email.encode(), info(user_id, "email")),
        "email_hash": search_hash(keys.search, "email", email),
        "email_masked": mask_email(email),
    }
