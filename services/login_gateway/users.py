"""Users: what may be written about one, and what a change of it means for their logins and sessions."""

import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from schemas.events import Role
from services.login_gateway.passwords import BadHash, BadPassword, check_hash, check_new
from services.platform.http import Problem
from services.platform.keys.contacts import BadContact, parse_email, parse_phone

Kind = Literal["person", "integration"]
CLAIMS_BYTES: Final = 1024
LOCALE: Final = re.compile(r"[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8}){0,4}")
NO_FALLBACK: Final = "no-fallback-email"
HARMLESS: Final = frozenset({"name", "locale"})
PRIVILEGED: Final = ("admin", "operator")


class TwoFactor(msgspec.Struct, forbid_unknown_fields=True):
    sms: bool = False
    email: bool = False


class EditTwoFactor(msgspec.Struct, forbid_unknown_fields=True):
    sms: bool | UnsetType = UNSET
    email: bool | UnsetType = UNSET


class NewUser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of POST and PUT, and a line of an import."""

    username: str
    external_id: str | None = None
    password: str | None = None
    password_hash: str | None = None
    name: str | None = None
    phone: str | None = None
    email: str | None = None
    two_factor: TwoFactor = msgspec.field(default_factory=TwoFactor)
    role: Role = "user"
    kind: Kind = "person"
    disabled: bool = False
    locale: str | None = None
    claims: dict[str, Any] = {}

    def __repr__(self) -> str:
        return "NewUser(…)"


class EditUser(msgspec.Struct, forbid_unknown_fields=True, kw_only=True):
    """The body of PATCH: what is left out stays. `force_login` ends the user's sessions with the same write."""

    username: str | UnsetType = UNSET
    external_id: str | UnsetType | None = UNSET
    name: str | UnsetType | None = UNSET
    phone: str | UnsetType | None = UNSET
    email: str | UnsetType | None = UNSET
    two_factor: EditTwoFactor = msgspec.field(default_factory=EditTwoFactor)
    role: Role | UnsetType = UNSET
    kind: Kind | UnsetType = UNSET
    disabled: bool | UnsetType = UNSET
    locale: str | UnsetType | None = UNSET
    claims: dict[str, Any] | UnsetType = UNSET
    force_login: bool = False

    def __repr__(self) -> str:
        return "EditUser(…)"


class NewPassword(msgspec.Struct, forbid_unknown_fields=True):
    password: str | None = None
    password_hash: str | None = None

    def __repr__(self) -> str:
        return "NewPassword(…)"


class Profile(NamedTuple):
    """A user as the rules see one: contacts open, everything but the password."""

    username: str
    external_id: str | None
    name: str | None
    phone: str | None
    email: str | None
    sms_on: bool
    email_on: bool
    role: Role
    kind: Kind
    disabled: bool
    locale: str | None
    claims: dict[str, Any]

    def __repr__(self) -> str:
        return "Profile(…)"

    @classmethod
    def new(cls, body: NewUser) -> "Profile":
        return cls(
            body.username,
            body.external_id,
            body.name,
            body.phone,
            body.email,
            body.two_factor.sms,
            body.two_factor.email,
            body.role,
            body.kind,
            body.disabled,
            body.locale,
            body.claims,
        )

    def edited(self, edit: EditUser) -> "Profile":
        given = {name: getattr(edit, name) for name in self._fields if not name.endswith("_on")}
        given |= {"sms_on": edit.two_factor.sms, "email_on": edit.two_factor.email}
        return self._replace(**{name: value for name, value in given.items() if value is not UNSET})

    def checked(self) -> "Profile":
        """The same, normalised; raises 422 with the field and the reason."""
        found, problems = self.looked_at()
        if problems:
            raise problems[0]
        return found

    def looked_at(self) -> "tuple[Profile, list[Problem]]":
        """The same, normalised where that can be, and everything that is wrong with it."""
        found = self
        problems: list[Problem] = []
        for name, check in CHECKS.items():
            try:
                found = found._replace(**{name: check(getattr(self, name))})
            except Problem as bad:
                problems.append(bad)
        return found, [*problems, *_contradictions(found)]

    def warnings(self) -> list[str]:
        return [NO_FALLBACK] if self.sms_on and self.email is None else []


class Change(NamedTuple):
    """What an edit touches: the audit names the fields, never their values."""

    fields: frozenset[str]
    now_disabled: bool = False

    @classmethod
    def between(cls, old: Profile, new: Profile) -> "Change":
        fields = frozenset(name for name in old._fields if getattr(old, name) != getattr(new, name))
        return cls(fields, new.disabled and not old.disabled)

    @property
    def ends_sessions(self) -> bool:
        return self.now_disabled or bool(self.fields & {"role", "kind"})

    @property
    def closes_logins(self) -> bool:
        return bool(self.fields & {"phone", "email"})

    @property
    def needs_fresh_sign_in(self) -> bool:
        return bool(self.fields - HARMLESS)


def fold(name: str) -> str:
    """Usernames that fold to the same text are one: NFKC and case (Unicode TR31)."""
    return unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", name).casefold())


def username(given: str) -> str:
    text = _text("username", given, 200)
    if not text or text != text.strip() or not fold(text):
        raise refused("bad-username", "username", "A username is not empty and has no space at its ends.")
    return text


def external_id(given: str | None) -> str | None:
    """It travels on topics, so it must not be a contact."""
    text = _text("external_id", given, 128)
    if text is not None and (not text or "@" in text or text.startswith("+")):
        detail = "external_id travels in events: use your own id for the user, no e-mail address and no phone number."
        raise refused("bad-external-id", "external_id", detail)
    return text


def password_problem(password: str | None, password_hash: str | None, name: str) -> None:
    """Refuse both at once, a weak password, and a hash out of bounds, each with its reason."""
    if password is not None and password_hash is not None:
        raise refused("bad-password", "password", "Send password or password_hash, not both.")
    try:
        if password is not None:
            check_new(password, name)
        if password_hash is not None:
            check_hash(password_hash)
    except BadPassword as bad:
        raise refused("bad-password", "password", str(bad)) from None
    except BadHash as bad:
        raise refused("bad-password-hash", "password_hash", f"{str(bad).capitalize()}.") from None


def refused(name: str, field: str, detail: str) -> Problem:
    return Problem(422, name, detail, field=field)


def _contradictions(user: Profile) -> Iterator[Problem]:
    if user.sms_on and user.phone is None:
        detail = "Authentication by SMS needs a phone number: add one, or switch it off."
        yield refused("sms-needs-phone", "two_factor.sms", detail)
    if user.email_on and user.email is None:
        detail = "Authentication by e-mail needs an e-mail address: add one, or switch it off."
        yield refused("email-needs-address", "two_factor.email", detail)
    if user.kind == "integration" and user.role != "user":
        yield refused("integration-role", "role", "An integration user has the role user: change the role or the kind.")
    if user.role in PRIVILEGED and not (user.sms_on or user.email_on):
        detail = f"The role {user.role} needs a second factor: switch on SMS or e-mail too."
        yield refused("second-factor-required", "two_factor", detail)


def _text(field: str, given: str | None, longest: int) -> str | None:
    if given is None:
        return None
    if len(given) > longest or any(unicodedata.category(sign) in {"Cc", "Cf", "Cs"} for sign in given):
        detail = f"{field} has at most {longest} characters and no control or invisible characters."
        raise refused(f"bad-{field.replace('_', '-')}", field, detail)
    return given


def _contact(field: str, given: str | None, parse: Callable[[str], str]) -> str | None:
    if given is None:
        return None
    if len(given) > 320:
        raise refused(f"bad-{field}", field, f"{field} has at most 320 characters.")
    try:
        return parse(given)
    except BadContact as bad:
        raise refused(f"bad-{field}", field, str(bad)) from None


def _locale(given: str | None) -> str | None:
    if given is not None and not LOCALE.fullmatch(given):
        raise refused("bad-locale", "locale", "A locale is a language tag like en or pt-BR (RFC 5646).")
    return given


def _claims(given: dict[str, Any]) -> dict[str, Any]:
    written = msgspec.json.encode(given)
    if b"\\u0000" in written:
        raise refused("bad-claims", "claims", "claims must not hold the character U+0000.")
    if len(written) > CLAIMS_BYTES:
        raise refused("claims-too-large", "claims", f"claims has at most {CLAIMS_BYTES} bytes as JSON.")
    return given


CHECKS: Final[Mapping[str, Callable[[Any], Any]]] = {
    "username": username,
    "external_id": external_id,
    "name": lambda given: _text("name", given, 200),
    "phone": lambda given: _contact("phone", given, parse_phone),
    "email": lambda given: _contact("email", given, parse_email),
    "locale": _locale,
    "claims": _claims,
}
"""How each field of a `Profile` is normalised."""
