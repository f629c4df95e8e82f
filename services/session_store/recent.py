"""A bounded memory of the sessions that were asked for or began lately."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar
from uuid import UUID

T = TypeVar("T")
AT_ONCE: Final = 2


class Recent(Generic[T]):
    """Two dictionaries, young and old: what nobody asks for while a third of the size comes goes from one to the next.

    A look costs a tenth of a linked list's, and what is forgotten goes a few at a time: no answer waits for it.
    """

    def __init__(self, size: int) -> None:
        self._third = max(1, size // 3)
        self._young: dict[UUID, T] = {}
        self._old: dict[UUID, T] = {}
        self._going: dict[UUID, T] = {}

    def get(self, key: UUID) -> T | None:
        if (found := self._young.get(key)) is not None:
            return found
        if (found := self._old.pop(key, None)) is not None:
            self[key] = found
        return found

    def pop(self, key: UUID, default: T | None = None) -> T | None:
        young, old = self._young.pop(key, None), self._old.pop(key, None)
        return young if young is not None else old if old is not None else default

    def __setitem__(self, key: UUID, value: T) -> None:
        self._old.pop(key, None)
        self._young[key] = value
        for _ in range(min(AT_ONCE, len(self._going))):
            self._going.popitem()
        if len(self._young) >= self._third:
            self._young, self._old, self._going = {}, self._young, self._old

    def clear(self) -> None:
        for every in (self._young, self._old, self._going):
            every.clear()

    def values(self) -> Iterator[T]:
        yield from self._young.values()
        yield from self._old.values()

    def __contains__(self, key: object) -> bool:
        return key in self._young or key in self._old

    def __len__(self) -> int:
        return len(self._young) + len(self._old)
