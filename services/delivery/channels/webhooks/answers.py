"""Fields of a gateway's JSON, by path, and what they mean."""

import re
from collections.abc import Iterable
from typing import Any, Final, Literal

import msgspec

from services.delivery.provider import Blame, Permanent, Retryable, Unknown
from services.delivery.vendor_errors import Kind, VendorError, blame_of, code_in, reason

PATH: Final = re.compile(r"[A-Za-z0-9_-]+(\.[A-Za-z0-9_-]+)*")
REFERENCE: Final = re.compile(r"[!-~]{1,64}")
Value = str | int | bool
Values = Value | tuple[Value, ...]
BLAMES: Final = {"number": Blame.NUMBER, "route": Blame.ROUTE, "provider": Blame.PROVIDER}


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, rename={"kind": "class"}):
    """When the status and the field are these, it is that error. Without `equals` any value of the field counts."""

    kind: Kind = "permanent"
    reason: str
    status: int | None = None
    path: str | None = None
    equals: Values | None = None
    blame: Literal["number", "route", "provider"] | None = None
    means: str = ""
    next: str = ""

    def applies(self, status: int | None, said: dict[str, Any]) -> bool:
        if self.status not in (None, status):
            return False
        if self.path is None:
            return True
        found = text_of(field(said, self.path))
        return found is not None and (self.equals is None or found in texts(self.equals))

    def code(self, status: int | None, said: dict[str, Any]) -> str | None:
        """What made it apply."""
        found = code_in(text_of(field(said, self.path))) if self.path is not None else None
        return found or (f"http-{status}" if status is not None else None)

    def error(self, code: str | None, after: float | None) -> Retryable | Permanent | Unknown:
        said = reason(self.reason, code)
        if self.kind == "retryable":
            return Retryable(said, after)
        if self.kind == "unknown":
            return Unknown(said)
        return Permanent(said, BLAMES[self.blame] if self.blame else blame_of(self.reason))

    def shown(self) -> VendorError:
        """As the tables of other providers show theirs."""
        code = ", ".join(texts(self.equals)) if self.equals is not None else f"http-{self.status or '…'}"
        return VendorError(code, self.reason, self.kind, self.means, self.next)


def first(rules: Iterable[Rule], status: int | None, said: dict[str, Any]) -> tuple[Rule, str | None] | None:
    """The rule that applies, and the code that it found. `status` None: of a receipt."""
    found = next((rule for rule in rules if rule.applies(status, said)), None)
    return (found, found.code(status, said)) if found is not None else None


def field(said: Any, path: str) -> Any:
    """`errors.0.code`: keys of objects, places in lists; None where there is none."""
    for step in path.split("."):
        if isinstance(said, dict):
            said = said.get(step)
        elif isinstance(said, list) and step.isdecimal() and len(step) < 6 and int(step) < len(said):
            said = said[int(step)]
        else:
            return None
    return said


def text_of(value: object) -> str | None:
    """A text, a number or a truth; None for anything else."""
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, int):
        return str(value) if abs(value) < 10**40 else None
    return value if isinstance(value, str) else None


def texts(values: Values) -> list[str]:
    every = values if isinstance(values, tuple) else (values,)
    return [text for text in map(text_of, every) if text is not None]


def reference_in(said: dict[str, Any], path: str) -> str | None:
    found = field(said, path)
    text = None if isinstance(found, bool) else text_of(found)
    return text if text is not None and REFERENCE.fullmatch(text) else None
