"""Everything that is wrong with a line of an import, each thing in words that say what to write instead.

Looked for only where a line was refused. No words repeat what was sent: it may be a contact or a password.
"""

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

import msgspec

from services.login_gateway.users import NewUser, Profile, TwoFactor, password_problem
from services.platform.http import Problem

EXAMPLE: Final = 'Write one user a line, like {"username": "anna", "email": "anna@example.com"}.'
SWITCH: Final = "true or false, without quotes"
WANTED: Final = {
    "username": 'text, like "anna"',
    "external_id": 'text: your own id of the user, like "e-17"',
    "password": "text of 8 to 256 characters",
    "password_hash": "text: what argon2, bcrypt, scrypt or pbkdf2 made",
    "name": 'text, like "Anna Ångström"',
    "phone": 'text with the country code, like "+44 20 7946 0958"',
    "email": 'text, like "anna@example.com"',
    "two_factor": 'an object, like {"sms": true, "email": false}',
    "two_factor.sms": SWITCH,
    "two_factor.email": SWITCH,
    "role": "user, admin or operator",
    "kind": "person or integration",
    "disabled": SWITCH,
    "locale": 'text, like "en" or "pt-BR"',
    "claims": 'an object, like {"plan": "pro"}',
}
RESTS_ON: Final = {
    "sms-needs-phone": ("phone", "two_factor", "two_factor.sms"),
    "email-needs-address": ("email", "two_factor", "two_factor.email"),
    "integration-role": ("role", "kind"),
    "second-factor-required": ("role", "two_factor", "two_factor.sms", "two_factor.email"),
}
"""What follows from fields that are wrong themselves is not told: it may be right once these are mended."""
INSTEAD: Final = {"bad-email": " Write it like anna@example.com.", "bad-locale": " Or leave it out."}
A_NAME: Final = re.compile(r"[A-Za-z_]{1,40}")
SOMEBODY: Final = "somebody"


class Fault(msgspec.Struct, omit_defaults=True):
    """`field` as JSON names it, like `two_factor.sms`; without one it is about the line."""

    error: str
    detail: str
    field: str | None = None

    @classmethod
    def of(cls, problem: Problem) -> "Fault":
        return cls(problem.name, problem.detail, problem.more.get("field"))


def faults(line: bytes, broken: Collection[str | None] = ()) -> list[Fault]:
    """Empty for a line that can be used. `broken` are fields that are known to be wrong, and left out of the line."""
    try:
        given = msgspec.json.decode(line)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return [_bad(f"This line is not JSON. {EXAMPLE}")]
    if not isinstance(given, dict):
        return [_bad(f"This line is no JSON object. {EXAMPLE}")]
    found = [*_of_fields(given, NewUser), *_of_factors(given.get("two_factor"))]
    if "username" not in given and "username" not in broken:
        found.append(_bad("username is missing: every user has one.", "username"))
    known = {*broken, *(fault.field for fault in found)}
    return [*found, *(fault for fault in _of_rules(_usable(given)) if not known & {*RESTS_ON.get(fault.error, ())})]


def _of_fields(given: Mapping[str, Any], kind: type[msgspec.Struct], within: str = "") -> Iterator[Fault]:
    """Fields that there are not, and values of the wrong kind."""
    kinds = {field.name: field.type for field in msgspec.structs.fields(kind)}
    for name, value in given.items():
        if name not in kinds:
            known = ", ".join(f"{within}{each}" for each in kinds)
            named = f"{within}{name}" if A_NAME.fullmatch(name) else "A field of this line"
            yield _bad(f"{named} is not known. There are: {known}.")
        elif not (kinds[name] is TwoFactor and isinstance(value, dict)) and not _fits(value, kinds[name]):
            yield _bad(f"{within}{name} must be {WANTED[within + name]}.", within + name)


def _of_factors(given: Any) -> Iterator[Fault]:
    return _of_fields(given, TwoFactor, "two_factor.") if isinstance(given, dict) else iter(())


def _of_rules(user: NewUser) -> Iterator[Fault]:
    """What the rules for users say of the fields that can be used."""
    for problem in Profile.new(user).looked_at()[1]:
        fault = Fault.of(problem)
        yield msgspec.structs.replace(fault, detail=f"{fault.detail}{INSTEAD.get(fault.error, '')}")
    try:
        password_problem(user.password, user.password_hash, user.username)
    except Problem as bad:
        yield Fault.of(bad)


def _usable(given: Mapping[str, Any]) -> NewUser:
    fields = {name: value for name, value in given.items() if name != "two_factor"}
    factors = given.get("two_factor")
    good = _good(fields, NewUser) | {"two_factor": TwoFactor(**_good(factors, TwoFactor))}
    return NewUser(**({"username": SOMEBODY} | good))


def _good(given: Any, kind: type[msgspec.Struct]) -> dict[str, Any]:
    if not isinstance(given, dict):
        return {}
    kinds = {field.name: field.type for field in msgspec.structs.fields(kind)}
    return {name: value for name, value in given.items() if name in kinds and _fits(value, kinds[name])}


def _fits(value: Any, kind: Any) -> bool:
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        return False
    return True


def _bad(detail: str, field: str | None = None) -> Fault:
    return Fault("bad-request", detail, field)
