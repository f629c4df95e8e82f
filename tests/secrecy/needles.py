"""Every way in which a secret could be written down, and one search for all of them at once (Aho-Corasick)."""

import base64
import hashlib
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from dataclasses import field as hidden
from functools import cached_property
from typing import Final, NamedTuple
from urllib.parse import quote

import ahocorasick_rs

HASHES: Final = ("md5", "sha1", "sha256")
HASHED: Final = 16  # bytes of a hash that are looked for: a shortened one counts too
GLUED: Final = 12  # fewer digits than this may be part of any longer number


@dataclass(frozen=True)
class Secret:
    """A value that was played. `field` names its row in `allowed.py`; `core` is the part that occurs nowhere else."""

    field: str
    name: str
    text: str | bytes = hidden(repr=False)
    core: str | bytes | None = hidden(default=None, repr=False)

    @cached_property
    def whole(self) -> bytes:
        return _bytes(self.text)

    @cached_property
    def needle(self) -> bytes:
        return _bytes(self.text if self.core is None else self.core)


class Hit(NamedTuple):
    secret: Secret
    form: str
    offset: int


def forms(secret: Secret) -> dict[str, set[bytes]]:
    """The needles of one secret by the name of their form."""
    found = binary_forms(secret.needle)
    if isinstance(secret.text, str):
        for name, needles in text_forms(secret.needle.decode()).items():
            found[name] |= needles - found["as is"]
    for name in HASHES:
        digests = {hashlib.new(name, value, usedforsecurity=False).digest()[:HASHED] for value in _variants(secret)}
        for digest in digests:
            for form, needles in binary_forms(digest).items():
                found[f"{name} {form}"] |= needles
    return found


def binary_forms(data: bytes) -> defaultdict[str, set[bytes]]:
    found: defaultdict[str, set[bytes]] = defaultdict(set)
    found["as is"] = {data}
    found["hex"] = {data.hex().encode(), data.hex().upper().encode()}
    found["base64"] = {*aligned(data, b"+/"), *aligned(data, b"-_")}
    return found


def aligned(data: bytes, signs: bytes) -> Iterator[bytes]:
    """Base64 of the data at each of the three places in a longer text: only the signs that it decides alone."""
    for place in range(3):
        whole = base64.b64encode(bytes(place) + data + bytes(2), altchars=signs)
        yield whole[-(-8 * place // 6) : 8 * (place + len(data)) // 6]


def text_forms(text: str) -> dict[str, set[bytes]]:
    each, quoted = text.encode(), json.dumps(text)[1:-1].encode()
    return {
        "as is": {text.lower().encode(), text.upper().encode(), text.removeprefix("+").encode()},
        "utf-16": {text.encode("utf-16-le"), text.encode("utf-16-be")},
        "url": {quote(text, safe="").encode(), *(b"".join(f % b for b in each) for f in (b"%%%02x", b"%%%02X"))},
        "json": {quoted, quoted.replace(b"\\", b"\\\\"), *_escaped(text, 1), *_escaped(text, 2)},
    }


def _escaped(text: str, strokes: int) -> Iterator[bytes]:
    """Every sign as an escape; with two strokes, JSON inside JSON."""
    units = text.encode("utf-16-be")
    pairs = [units[n : n + 2].hex() for n in range(0, len(units), 2)]
    for spelled in (str.lower, str.upper):
        yield "".join("\\" * strokes + "u" + spelled(pair) for pair in pairs).encode()


def _variants(secret: Secret) -> set[bytes]:
    """What somebody would hash: as it was given, folded, without the plus of a number, the part that is its own."""
    if isinstance(secret.text, bytes):
        return {secret.text, secret.needle}
    text = secret.text
    return {each.encode() for each in (text, text.strip(), text.casefold(), text.removeprefix("+"))} | {secret.needle}


class Search:
    """All needles of all secrets in one automaton."""

    def __init__(self, secrets: Sequence[Secret]) -> None:
        self._owners: dict[bytes, list[tuple[Secret, str]]] = defaultdict(list)
        for secret in secrets:
            for form, needles in forms(secret).items():
                for needle in needles:
                    self._owners[needle].append((secret, form))
        self._needles = list(self._owners)
        self.longest = max(map(len, self._needles))
        kind = ahocorasick_rs.Implementation.ContiguousNFA
        self._automaton = ahocorasick_rs.BytesAhoCorasick(self._needles, implementation=kind)

    def __len__(self) -> int:
        return len(self._needles)

    def __call__(self, data: bytes) -> list[Hit]:
        found = self._automaton.find_matches_as_indexes(data, overlapping=True)
        return [
            Hit(secret, form, start)
            for number, start, end in found
            if not _is_part_of_a_number(self._needles[number], data, start, end)
            for secret, form in self._owners[self._needles[number]]
        ]


def _is_part_of_a_number(needle: bytes, data: bytes, start: int, end: int) -> bool:
    if len(needle) >= GLUED or not needle.isdigit():
        return False
    return data[max(0, start - 1) : start].isdigit() or data[end : end + 1].isdigit()


def _bytes(given: str | bytes) -> bytes:
    return given.encode() if isinstance(given, str) else given
