"""What anybody on the machine, or with the same user, sees of a process: its command line and its environment."""

from collections.abc import Iterator, Mapping
from pathlib import Path

from tests.secrecy.pieces import Piece

SHOWN = ("cmdline", "environ")


def shown(name: str, pid: int) -> list[Piece]:
    """Empty when the process is gone."""
    try:
        texts = {kind: Path(f"/proc/{pid}/{kind}").read_bytes() for kind in SHOWN}
    except (FileNotFoundError, ProcessLookupError):
        return []
    return [Piece(f"process/{name}/{kind}", f"process {pid}", data) for kind, data in texts.items()]


def all_of(roots: Mapping[int, str]) -> Iterator[Piece]:
    """Of these processes (pid to name) and of all that they started."""
    parents = _parents()
    for pid in parents:
        ancestor: int | None = pid
        while ancestor is not None and ancestor not in roots:
            ancestor = parents.get(ancestor)
        if ancestor is not None:
            yield from shown(roots[ancestor], pid)


def _parents() -> dict[int, int]:
    found = {}
    for path in Path("/proc").glob("[0-9]*/stat"):
        try:
            found[int(path.parent.name)] = int(path.read_text().rpartition(")")[2].split()[1])
        except (OSError, IndexError):
            continue
    return found
