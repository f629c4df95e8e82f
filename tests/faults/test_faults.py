"""Under each fault the promises hold, and the system heals by itself."""

import asyncio

import pytest

from tests.faults.checker import check, report
from tests.faults.recorder import GROUPS as GROUPS_OF_KAFKA
from tests.faults.run import Plan, play
from tests.faults.site import Site
from tests.faults.table import GROUPS

SEED = 20261125
SECONDS = 270


@pytest.mark.timeout(300)
@pytest.mark.parametrize("group", GROUPS)
async def test_the_promises_hold_under(site: Site, group: str) -> None:
    async with asyncio.timeout(SECONDS):  # one that does not come to its end says where it waited
        record = await play(site, Plan(SEED), GROUPS[group])
    assert {seen.group for seen in record.offsets} == {"session-store", *GROUPS_OF_KAFKA}
    broken = check(record)
    assert not broken, report(record, broken)
