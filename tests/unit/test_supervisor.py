"""What a supervisor makes of workers that say that their settings are wrong."""

import asyncio
import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from services.platform.supervisor import Plan, Slot

WORKER = """
import os, pathlib, sys, time
folder = pathlib.Path(sys.argv[1])
with (folder / "starts").open("a") as starts:
    starts.write("x")
if (folder / "wrong").exists():
    sys.exit(2)
line = int(os.environ["GATEPOST_WORKER"].split(":")[2])
os.write(line, b"1")
os.read(line, 1)
"""


@asynccontextmanager
async def slot_of(folder: Path) -> AsyncIterator[Slot]:
    command = [sys.executable, "-c", WORKER, str(folder)]
    with socket.socket() as listener:
        slot = Slot(Plan(command, 1, folder, 5.0, one_at_a_time=True), 1, [listener])
        await slot.start()
        yield slot
        await slot.stop()


async def until_ready(slot: Slot) -> None:
    async with asyncio.timeout(20):
        while not slot._worker.was_ready:  # noqa: ASYNC110 - it comes with a process that is started meanwhile
            await asyncio.sleep(0.02)


async def test_settings_that_were_wrong_from_the_start_end_it(tmp_path: Path):
    (tmp_path / "wrong").touch()
    async with slot_of(tmp_path) as slot:
        await asyncio.wait_for(slot.hopeless.wait(), 20)


async def test_settings_that_went_wrong_later_are_waited_for(tmp_path: Path):
    """Else one worker that is replaced, or dies, would take all others with it."""
    async with slot_of(tmp_path) as slot:
        await until_ready(slot)
        (tmp_path / "wrong").touch()
        assert not await slot.replace()
        async with asyncio.timeout(20):
            while len((tmp_path / "starts").read_text()) < 3 and not slot.hopeless.is_set():  # noqa: ASYNC110 - a file
                await asyncio.sleep(0.02)
        assert not slot.hopeless.is_set()
        (tmp_path / "wrong").unlink()
        await until_ready(slot)
