"""How records become batches: at once, apart, acknowledged when the next batch is asked for."""

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any

import pytest

from services.delivery import app
from services.delivery.app import MOST

APART = 0.05


def batches(stream: Any, apart: float) -> Any:
    """Numbers stand here for records."""
    return app.batches(stream, apart)


class Message(int):
    """A number with what Faust notes of its messages."""

    generation_id = 1
    tracked = False


class Event:
    def __init__(self, number: int) -> None:
        self.message = Message(number)


class App:
    """What `batches` uses of Faust's app; `assigned` while there is no rebalance."""

    def __init__(self) -> None:
        self.assigned, self.consumer_generation_id = True, 1
        self.tracked: list[int] = []
        self.flow_control = self.consumer = self

    def is_active(self) -> bool:
        return self.assigned

    def track_message(self, message: Message) -> None:
        self.tracked.append(message)


class Stream:
    """What `batches` uses of Faust's stream; None ends it, an exception breaks it. `queue` is its channel's."""

    def __init__(self, *numbers: int) -> None:
        self.enable_acks = True
        self.acked: list[int] = []
        self.app, self.channel = App(), self
        self.queue: asyncio.Queue[Event] = asyncio.Queue()
        self._coming: asyncio.Queue[Any] = asyncio.Queue()
        self.add(*numbers)

    def fetched(self, *numbers: int) -> None:
        for number in numbers:
            self.queue.put_nowait(Event(number))

    def add(self, *coming: Any) -> None:
        for each in coming:
            self._coming.put_nowait(each)

    async def events(self) -> AsyncIterator[Event]:
        while (each := await self._coming.get()) is not None:
            if isinstance(each, Exception):
                raise each
            yield Event(each)

    async def ack(self, event: Event) -> None:
        self.acked.append(event.message)


async def test_a_batch_is_acknowledged_when_the_next_one_is_asked_for_and_not_before():
    stream = Stream(1)
    taken = batches(stream, 0.0)
    assert await anext(taken) == [1]
    assert stream.acked == []
    assert not stream.enable_acks
    stream.add(2)
    assert await anext(taken) == [2]
    assert stream.acked == [1]
    await taken.aclose()


async def test_what_comes_meanwhile_is_the_next_batch_and_not_sooner_than_apart():
    stream = Stream(1)
    taken = batches(stream, APART)
    await anext(taken)
    start = time.monotonic()
    stream.add(2, 3, 4)
    assert await anext(taken) == [2, 3, 4]
    assert time.monotonic() - start >= APART * 0.9
    await taken.aclose()


async def test_what_is_fetched_already_comes_with_the_first_and_is_tracked_once():
    stream = Stream(1)
    stream.fetched(2, 3)
    taken = batches(stream, APART)
    assert await anext(taken) == [1, 2, 3]
    assert stream.app.tracked == [2, 3]
    await taken.aclose()


async def test_what_was_fetched_for_an_assignment_that_is_over_is_left_to_come_again():
    stream = Stream(1)
    stream.fetched(2, 3)
    stream.app.consumer_generation_id = 2
    taken = batches(stream, 0.0)
    assert await anext(taken) == [1]
    stream.add(4)
    assert await anext(taken) == [4]
    assert stream.app.tracked == []
    await taken.aclose()


async def test_no_batch_is_larger_than_the_most():
    stream = Stream(*range(3 * MOST))
    sizes: list[int] = []
    taken = batches(stream, 0.0)
    while sum(sizes) < 3 * MOST:
        sizes.append(len(await anext(taken)))
    assert max(sizes) <= MOST
    await taken.aclose()


async def test_a_stream_that_ends_is_read_to_its_end_and_all_of_it_acknowledged():
    stream = Stream(1, 2, 3)
    stream.add(None)
    found = [number async for batch in batches(stream, 0.0) for number in batch]
    assert found == stream.acked == [1, 2, 3]


async def test_a_stream_that_breaks_breaks_its_agent_and_what_was_not_written_stays_unacknowledged():
    stream = Stream(1)
    taken = batches(stream, 0.0)
    await anext(taken)
    stream.add(ConnectionError())
    with pytest.raises(ConnectionError):
        await anext(taken)
    assert stream.acked == [1]
