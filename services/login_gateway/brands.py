"""What an account's sign-in pages look like."""

import base64
import hashlib
import unicodedata
from typing import Any, Final, Literal

import msgspec

from services.login_gateway import logos
from services.login_gateway.colours import HEX
from services.login_gateway.logos import BadLogo
from services.platform.http import Problem

LONGEST_NAME: Final = 60


class Logo(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """`data` is base64."""

    kind: Literal["image/png", "image/svg+xml"]
    data: bytes


class Brand(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is left out is Gatepost's own."""

    name: str | None = None
    colour: str | None = None
    logo: Logo | None = None


def of_row(row: Any) -> Brand:
    if row is None:
        return Brand()
    logo = Logo(row["logo_kind"], row["logo"]) if row["logo"] is not None else None
    return Brand(row["name"], row["colour"], logo)


def checked(brand: Brand) -> Brand:
    """Raises 422 `bad-brand` that names the field."""
    if brand.name is not None and not _is_name(brand.name):
        raise _bad("name", f"A name has 1 to {LONGEST_NAME} letters on one line, without spaces around it.")
    colour = brand.colour.lower() if brand.colour is not None else None
    if colour is not None and not HEX.fullmatch(colour):
        raise _bad("colour", "A colour is written like #1f6f4a.")
    if brand.logo is not None:
        try:
            logos.check(brand.logo.kind, brand.logo.data)
        except BadLogo as bad:
            raise _bad("logo", str(bad)) from None
    return msgspec.structs.replace(brand, colour=colour)


def stamp(brand: Brand) -> str:
    """Names what the brand is now, so that browsers may keep it."""
    return hashlib.sha256(msgspec.json.encode(brand)).hexdigest()[:16]


def described(brand: Brand) -> dict[str, Any]:
    """For the audit: a picture by its size."""
    logo = f"{brand.logo.kind}, {len(brand.logo.data)} bytes" if brand.logo is not None else None
    return {"name": brand.name, "colour": brand.colour, "logo": logo}


def logo_of(kind: str, data: bytes) -> dict[str, str]:
    """A logo as a call takes it."""
    return {"kind": kind, "data": base64.b64encode(data).decode()}


def _is_name(text: str) -> bool:
    """No control, format or private characters: none that reorders or hides what stands beside it."""
    kinds = {unicodedata.category(char) for char in text}
    plain = not any(kind.startswith("C") or kind in ("Zl", "Zp") for kind in kinds)
    return 0 < len(text) <= LONGEST_NAME and plain and text == text.strip()


def _bad(field: str, detail: str) -> Problem:
    return Problem(422, "bad-brand", detail, field=field)
