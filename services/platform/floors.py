"""The file that carries floors from the session store to a restored gateway: JSON lines, the first says how many."""

import os
from collections.abc import Iterable, Sequence
from datetime import datetime
from pathlib import Path
from typing import Annotated, Final, Literal
from uuid import UUID

import msgspec

from schemas.events import EXACT
from services.platform.clock import is_ahead

KIND: Final = "gatepost-floors"


class BadFloors(Exception):
    """The file is none of ours, cut short or changed; the text names the line. Export it again."""


class Header(msgspec.Struct, frozen=True):
    """`exported_at` is the session store's database clock."""

    exported_at: datetime
    floors: Annotated[int, msgspec.Meta(ge=0)]
    kind: Literal["gatepost-floors"] = KIND


class Floor(msgspec.Struct, frozen=True):
    """Sessions of that user or account with an epoch below `floor` (milliseconds) are over."""

    scope: Literal["user", "account"]
    id: UUID
    floor: Annotated[int, msgspec.Meta(ge=0, le=EXACT)]


def write(path: Path, at: datetime, floors: Sequence[Floor]) -> None:
    """Replace the file in one step, readable by its owner only."""
    spare = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "wb") as out:
        for line in (Header(at, len(floors)), *floors):
            out.write(msgspec.json.encode(line) + b"\n")
        out.flush()
        os.fsync(out.fileno())
    spare.replace(path)


def read(path: Path, now: float) -> list[Floor]:
    """All of them; raises `BadFloors`. `now` is in Unix seconds: a floor in the future would lock its users out."""
    try:
        lines = path.read_bytes().splitlines()
        header = msgspec.json.decode(lines[0] if lines else b"", type=Header)
    except (OSError, msgspec.MsgspecError):
        raise BadFloors(f"{path}: no file of `gatepost sessions floors --export`") from None
    found = list(_floors(path, lines[1:], now))
    if len(found) != header.floors:
        raise BadFloors(f"{path}: {header.floors} floors were exported and {len(found)} are here: it was cut short")
    return found


def _floors(path: Path, lines: Iterable[bytes], now: float) -> Iterable[Floor]:
    for number, line in enumerate(lines, 2):
        try:
            floor = msgspec.json.decode(line, type=Floor)
        except msgspec.MsgspecError:
            raise BadFloors(f"{path}, line {number}: no floor") from None
        if is_ahead(floor.floor, now):
            raise BadFloors(f"{path}, line {number}: this floor lies in the future")
        yield floor
