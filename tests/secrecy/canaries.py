"""Canaries: values that are nobody else's, each remembered with the input field that it is given to."""

import secrets
from typing import Final

from tests.secrecy.needles import Secret

SIGNS: Final = "bcdfghjkmnpqrstvwxz23456789"


def tag(length: int = 12) -> str:
    """About 57 random bits, in signs that survive folding, paths and domain names."""
    return "".join(secrets.choice(SIGNS) for _ in range(length))


class Canaries:
    def __init__(self) -> None:
        self.secrets: list[Secret] = []

    def new(self, field: str, shape: str = "cy{}", name: str = "") -> str:
        """A text of that shape around a new core."""
        core = tag()
        return self.known(field, shape.format(core), core, name)

    def phone(self, field: str = "phone", name: str = "") -> str:
        """E.164 with 15 digits, which no subscriber has."""
        core = f"99{secrets.randbelow(10**11):011d}"
        return self.known(field, f"+49{core}", core, name)

    def block(self, field: str) -> str:
        """The beginning of a thousand numbers, as long as there are: Austria has mobile numbers of 13 digits."""
        core = f"99{secrets.randbelow(10**8):08d}"
        return self.known(field, f"+43{core}", core)

    def email(self, field: str = "email", name: str = "") -> str:
        return self.new(field, "cy{}@example.com", name)

    def address(self) -> str:
        """IPv6; its /64 is what counts for limits, so that is a canary too."""
        groups = [f"{secrets.randbelow(0xE000) + 0x1000:x}" for _ in range(6)]
        prefix = ":".join(("2001:db8", *groups[:2]))
        self.known("address", prefix, name="/64")
        return self.known("address", ":".join((prefix, *groups[2:])))

    def locale(self) -> str:
        core = f"{tag(8)}-{tag(8)}"
        return self.known("locale", f"en-{core}", core)

    def known(self, field: str, text: str, core: str | bytes | None = None, name: str = "") -> str:
        """Remember a value that the system made."""
        self.secrets.append(Secret(field, name or field, text, core))
        return text

    def raw(self, field: str, data: bytes, name: str = "") -> None:
        self.secrets.append(Secret(field, name or field, data))
