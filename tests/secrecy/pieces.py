"""Bytes with the place they stand in. Place names are paths, so that `allowed.py` can name them by patterns."""

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

CHUNK: Final = 16 * 1024 * 1024
OVERLAP: Final = 4096  # more than the longest needle
PAGE: Final = 8192
PAGE_HEAD, SEGMENT_HEAD = 24, 40


class Piece(NamedTuple):
    """`where` helps whoever looks for a leak; `place` is what is allowed or not."""

    place: str
    where: str
    data: bytes


def of_file(place: str, path: Path) -> Iterator[Piece]:
    """The file without its holes; Kafka's indexes are 10 MB of nothing each."""
    with suppress(FileNotFoundError), path.open("rb") as file:
        for start, end in _extents(file.fileno()):
            for at in range(start, end, CHUNK):
                data = os.pread(file.fileno(), min(CHUNK + OVERLAP, end - at), at)
                yield Piece(place, f"{path}:{at}", data)


def _extents(handle: int) -> Iterator[tuple[int, int]]:
    at, size = 0, os.fstat(handle).st_size
    while at < size:
        try:
            at = os.lseek(handle, at, os.SEEK_DATA)
        except OSError:  # nothing but a hole is left
            return
        end = os.lseek(handle, at, os.SEEK_HOLE)
        yield at, end
        at = end


def of_wal(place: str, path: Path) -> Iterator[Piece]:
    """Without the head of each page, which may cut a value in two, and holds none."""
    with suppress(FileNotFoundError):
        yield Piece(place, f"{path}, page heads left out", without_heads(path.read_bytes().rstrip(b"\x00")))


def without_heads(segment: bytes) -> bytes:
    pages = [segment[at : at + PAGE] for at in range(0, len(segment), PAGE)]
    return b"".join(page[PAGE_HEAD if number else SEGMENT_HEAD :] for number, page in enumerate(pages))


def in_folder(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not path.is_symlink():
            yield path


def joined(place: str, where: str, parts: Iterator[bytes]) -> Iterator[Piece]:
    """Many small parts as few pieces."""
    held: list[bytes] = []
    size = 0
    for part in parts:
        held.append(part)
        size += len(part)
        if size > CHUNK:
            yield Piece(place, where, b"\x00".join(held))
            held, size = [], 0
    if held:
        yield Piece(place, where, b"\x00".join(held))
