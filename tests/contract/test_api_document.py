"""docs/api.md lists every call that the who tables know, who may make it, and bodies that the calls take."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec
import pytest

from services.delivery.routes.described import CALLS as DELIVERY_CALLS
from services.delivery.routes.described import RECEIPTS
from services.delivery.who import RIGHTS as DELIVERY
from services.login_gateway.commands_users import create
from services.login_gateway.csv_rows import COLUMNS
from services.login_gateway.routes.described import CALLS as GATEWAY_CALLS
from services.login_gateway.users import NewUser
from services.login_gateway.who import RIGHTS as GATEWAY
from services.platform.auth import Right
from services.platform.scopes import SCOPES
from services.session_store.routes.described import CALLS as STORE_CALLS
from services.session_store.routes.sessions import Sent
from services.session_store.who import RIGHTS as SESSION_STORE

TEXT: Final = (Path(__file__).parent.parent.parent / "docs" / "api.md").read_text()
SECTIONS: Final[dict[str, Mapping[tuple[str, str], Right | None]]] = {
    "login_gateway": GATEWAY,
    "delivery": {**DELIVERY, RECEIPTS: None},
    "session_store": SESSION_STORE,
}
BODIES: Final[dict[tuple[str, str], Any]] = {
    at: call.takes
    for calls in (GATEWAY_CALLS, DELIVERY_CALLS, STORE_CALLS)
    for at, call in calls.items()
    if isinstance(call.takes, type) and call.takes is not Sent
}


class Row(NamedTuple):
    call: tuple[str, str]
    who: str
    body: str


def section(title: str) -> str:
    return TEXT.partition(f"\n## {title}")[2].partition("\n## ")[0]


def rows(service: str) -> list[Row]:
    found = []
    for line in section(service).splitlines():
        if named := re.match(r"\| `([A-Z]+) (\S+)` \|", line):
            _, _, _, who, body, _ = (cell.strip() for cell in re.split(r"(?<!\\)\|", line))
            found.append(Row((named[1], named[2]), who, body))
    return found


def who(right: Right | None) -> str:
    if right is None:
        return "anybody"
    roles = [role for role in ("user", "admin", "operator") if role in right.roles]
    limits = [name for name, holds in (("fresh", right.fresh and roles), ("all", right.installation)) if holds]
    holders = [*(f"`{scope}`" for scope in sorted(right.scopes)), *roles]
    return "; ".join([", ".join(holders), *([", ".join(limits)] if limits else [])])


@pytest.mark.parametrize("service", SECTIONS)
def test_every_call_is_listed_once_with_who_may_make_it(service):
    listed = rows(service)
    assert len(listed) == len({row.call for row in listed})
    assert {row.call: sorted(row.who.split(", ")) for row in listed} == {
        call: sorted(who(right).split(", ")) for call, right in SECTIONS[service].items()
    }


def test_every_body_of_the_document_is_one_that_its_call_takes():
    given = {row.call: row.body for service in SECTIONS for row in rows(service)}
    assert {call for call, body in given.items() if body.startswith("`{")} == BODIES.keys()
    for call, kind in BODIES.items():
        msgspec.json.decode(given[call].strip("`"), type=kind)


def test_a_users_fields_are_listed_as_json_as_columns_and_as_options():
    lines = [line for line in section("A user").splitlines() if line.startswith("| `")]
    table = [[code or text for code, text in re.findall(r"`([^`]+)`|(–|the argument)", line)][:3] for line in lines]
    fields, columns, options = zip(*table, strict=True)
    nested = {f"two_factor.{name}" for name in ("sms", "email")}
    assert set(fields) == set(NewUser.__struct_fields__) - {"two_factor"} | nested
    assert set(columns) == COLUMNS
    known = {f"--{name.replace('_', '-')}" for name in create.__annotations__}
    assert {option for option in options if option.startswith("--")} <= known


def test_every_scope_is_named():
    assert all(f"`{scope}`" in TEXT for scope in SCOPES)
