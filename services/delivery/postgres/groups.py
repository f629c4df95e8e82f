"""Writes that are ready together go in one statement. Nobody waits for company: there is no timer."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, Final, Generic, TypeVar

from services.platform.postgres import AWAY

T = TypeVar("T")
A = TypeVar("A")
Write = Callable[[Sequence[T]], Awaitable[Sequence[A]]]
Waiting = tuple[T, "asyncio.Future[A]"]

AT_ONCE: Final = 2  # one would do, but a statement that waits for a lock must not hold up all others
MOST: Final = 100


class Group(Generic[T, A]):
    """What came while a group was being written is the next group. Each caller gets the answer or error of its own."""

    def __init__(self, write: Write[T, A]) -> None:
        self._write = write
        self._waiting: list[Waiting[T, A]] = []
        self._writing = 0
        self._tasks: set[asyncio.Task[None]] = set()

    async def add(self, one: T) -> A:
        """What the write says of this one. Raises what the write raises."""
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[A] = loop.create_future()
        self._waiting.append((one, answer))
        if self._writing < AT_ONCE:
            self._writing += 1
            task = loop.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)
        return await answer

    async def _work(self) -> None:
        try:
            while self._waiting:
                taken, self._waiting = self._waiting[:MOST], self._waiting[MOST:]
                await self._write_all([each for each in taken if not each[1].done()])
        finally:
            self._writing -= 1

    async def _write_all(self, taken: Sequence[Waiting[T, A]]) -> None:
        """A value that the database refuses concerns its own caller only: then each is written alone."""
        try:
            answers = await self._write([one for one, _ in taken]) if taken else []
        except Exception as error:
            if len(taken) == 1 or _away(error):
                return _fail(taken, error)
            for each in taken:
                await self._write_all([each])
        else:
            _answer(taken, answers)


def columns(rows: Sequence[Sequence[object]], width: int = 0) -> list[list[Any]]:
    """Rows as `unnest` takes them; without any rows, as many empty columns as `width` says."""
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]


def _away(error: Exception) -> bool:
    """asyncpg's own complaint about a value is an `InterfaceError` too."""
    return isinstance(error, AWAY) and not isinstance(error, ValueError)


def _fail(taken: Sequence[Waiting[T, A]], error: Exception) -> None:
    for _, waiter in taken:
        if not waiter.done():
            waiter.set_exception(error)


def _answer(taken: Sequence[Waiting[T, A]], answers: Sequence[A]) -> None:
    """A caller that was cancelled meanwhile waits for none."""
    for (_, waiter), answer in zip(taken, answers, strict=True):
        if not waiter.done():
            waiter.set_result(answer)
