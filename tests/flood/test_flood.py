"""A tenth of the flood of `make bench ROWS=flood`: whatever dies meanwhile, every reference is opened once."""

from collections import Counter

import aiohttp
import pytest

from deploy.local.stack import Stack
from tests.flood.play import Size, prepared
from tests.flood.result import broken, report

TENTH = Size(topic=5_000, http=2_000, both=100, again=100)
SECONDS = 240


@pytest.mark.timeout(300)
async def test_each_of_many_is_opened_once_while_every_process_dies(stack: Stack) -> None:
    async with prepared(stack, TENTH) as flood:
        await flood.run(SECONDS)
        found = await flood.result()
    found.calls = await calls(stack)
    failed = broken(found)
    assert not failed, report(failed)


async def calls(stack: Stack) -> Counter[str]:
    """How often the provider was called for each phone."""
    url = f"http://127.0.0.1:{stack.ports.inbox}/attempts"
    async with aiohttp.ClientSession() as http, http.get(url) as answer:
        return Counter(attempt["to"] for attempt in (await answer.json())["attempts"])
