"""What runs beside the requests ends when it is told to, also where a library swallows that once; and the collector."""

import asyncio
import gc

import pytest

from services.platform.work import ended, loading, or_stop


def test_the_collector_looks_again_once_all_is_loaded():
    try:
        with loading():
            assert not gc.isenabled()
        assert gc.isenabled()
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()


async def test_work_that_swallows_a_cancellation_is_told_again():
    begun, swallowed = asyncio.Event(), asyncio.Event()

    async def follows() -> None:
        while True:
            begun.set()
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                if swallowed.is_set():
                    raise
                swallowed.set()

    async def fails() -> None:
        raise ValueError

    tasks = [asyncio.create_task(follows()), asyncio.create_task(fails())]
    await begun.wait()
    await asyncio.wait_for(ended(tasks, again=0.01), 10)
    assert swallowed.is_set()
    assert [task.done() for task in tasks] == [True, True]


async def test_work_that_had_not_begun_ends_without_a_word(recwarn: pytest.WarningsRecorder):
    async def follows() -> None:
        await asyncio.Event().wait()

    await ended([asyncio.create_task(or_stop("follow", follows()))])
    await asyncio.sleep(0)  # the loop holds its last steps until the next one
    gc.collect()
    assert [str(warning.message) for warning in recwarn] == []
