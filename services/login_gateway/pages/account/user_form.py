"""A user as a form: what it shows of one, and the body of the API's call that it makes."""

from collections.abc import Mapping
from typing import Any, Final, TypeVar

import msgspec
from msgspec import UNSET

from services.login_gateway.experience import experience
from services.login_gateway.user_rows import UserView
from services.login_gateway.users import EditTwoFactor, EditUser, NewUser, TwoFactor
from services.platform.http import Problem

T = TypeVar("T")
Values = Mapping[str, str]
ON: Final = "on"
BLANK: Final = {"role": "user", "kind": "person"}
ROLES: Final = {"user": "User", "admin": "Administrator"}
KINDS: Final = {"person": "Person", "integration": "Integration (API access)"}


def of_user(user: UserView) -> dict[str, str]:
    """Contacts are not shown: an empty field keeps them."""
    found = {"username": user.username, "name": user.name or "", "role": user.role, "kind": user.kind}
    flags = {"sms": user.two_factor.sms, "email_on": user.two_factor.email, "disabled": user.disabled}
    kept = {"has_phone": user.phone_masked is not None, "has_email": user.email_masked is not None}
    return found | {name: ON for name, on in (flags | kept).items() if on} | {"version": str(user.version)}


def edit_of(given: Values) -> EditUser:
    """Raises 400 `bad-request` for what only a broken form sends."""
    return _converted(
        EditUser,
        username=given.get("username", ""),
        name=_text(given, "name"),
        phone=_contact(given, "phone"),
        email=_contact(given, "email"),
        two_factor=EditTwoFactor(_on(given, "sms"), _on(given, "email_on")),
        role=given.get("role", ""),
        kind=given.get("kind", ""),
        disabled=_on(given, "disabled"),
        force_login=given.get("then") == "force_login",
    )


def new_of(given: Values) -> NewUser:
    return _converted(
        NewUser,
        username=given.get("username", ""),
        name=_text(given, "name"),
        password=given.get("password") or None,
        phone=_text(given, "phone"),
        email=_text(given, "email"),
        two_factor=TwoFactor(_on(given, "sms"), _on(given, "email_on")),
        role=given.get("role", ""),
        kind=given.get("kind", ""),
    )


def sentence(given: Values) -> str:
    """What the user will experience, as the form stands."""
    removed = _on(given, "no_email")
    has_email = bool(given.get("email", "").strip()) or (_on(given, "has_email") and not removed)
    on = {"sms": _on(given, "sms"), "email": _on(given, "email_on"), "disabled": _on(given, "disabled")}
    return experience(has_email=has_email, **on)


def version_of(given: Values) -> int | None:
    text = given.get("version", "")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else None


def differing(given: Values, user: UserView) -> dict[str, str]:
    """Beside each field that is not as it is on file: what is on file."""
    now, found = of_user(user), {}
    for name in ("username", "name"):
        if given.get(name, "") != now[name]:
            found[name] = now[name] or "nothing"
    for name, words in (("role", ROLES), ("kind", KINDS)):
        if given.get(name) != now[name]:
            found[name] = words.get(now[name], now[name])
    for name in ("sms", "email_on", "disabled"):
        if _on(given, name) != _on(now, name):
            found[name] = "on" if _on(now, name) else "off"
    return found


def _converted(into: type[T], **fields: Any) -> T:
    given = {name: value for name, value in fields.items() if value is not UNSET}
    try:
        return msgspec.convert(given, into, from_attributes=True)
    except msgspec.ValidationError:
        raise Problem(400, "bad-request", "The form sent something that it does not offer. Reload the page.") from None


def _on(given: Values, name: str) -> bool:
    return given.get(name) == ON


def _text(given: Values, name: str) -> str | None:
    return given.get(name, "").strip() or None


def _contact(given: Values, name: str) -> Any:
    text = _text(given, name)
    if text is None:
        return None if _on(given, f"no_{name}") else UNSET
    return text
