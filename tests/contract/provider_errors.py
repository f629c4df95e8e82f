"""`python -m tests.contract.provider_errors`: puts the providers' errors into docs/operations.md, between its marks."""

import re
from pathlib import Path
from typing import Final

from services.delivery.channels.catalogue import VENDORS

PAGE: Final = Path(__file__).parent.parent.parent / "docs" / "operations.md"
BEGIN: Final = "<!-- providers' errors -->"
END: Final = "<!-- /providers' errors -->"


def tables() -> str:
    return "\n".join(_table(vendor) for vendor in VENDORS)


def _table(vendor: str) -> str:
    errors = VENDORS[vendor]
    head = f"**{vendor}**, after {errors.source}\n\n| code | reason | class | means | do |\n|---|---|---|---|---|\n"
    return head + "".join(f"| `{e.code}` | `{e.word}` | {e.kind} | {e.meaning} | {e.next} |\n" for e in errors)


def put(page: str) -> str:
    return re.sub(f"{BEGIN}.*{END}", lambda _: f"{BEGIN}\n{tables()}{END}", page, flags=re.S)


if __name__ == "__main__":
    PAGE.write_text(put(PAGE.read_text()))
