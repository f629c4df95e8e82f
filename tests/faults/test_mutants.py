"""Each rule of the checker can fail: a system that breaks it, and nothing else, is caught by that rule alone."""

import pytest
import pytest_asyncio

from tests.faults.acts import held, mail_server_down
from tests.faults.checker import check, report
from tests.faults.mutants import MUTANTS, Mutant
from tests.faults.run import Plan, play
from tests.faults.site import Site

SEED = 7
FAULTS = {"tired-after-a-failure": [mail_server_down(2)], "expiry-ignored": [held]}


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def wrong(site: Site) -> Site:
    """The same system, its services started with every mutant, none switched on. This module comes last."""
    await site.mutate()
    return site


def plan(mutant: Mutant | None) -> Plan:
    kinds = mutant.kinds * 4 if mutant else ("sms", "email", "plain", "twice", "forced", "ended", "hasty", "guessing")
    return Plan(SEED, least=len(kinds), rate=10, before=0, kinds=kinds, heal_within=15, settle=5)


async def test_with_no_mutant_switched_on_nothing_is_broken(wrong: Site) -> None:
    record = await play(wrong, plan(None), [held, mail_server_down(2)])
    assert not (broken := check(record)), report(record, broken)


@pytest.mark.parametrize("mutant", MUTANTS, ids=[mutant.name for mutant in MUTANTS])
async def test_the_checker_names_the_rule_that_is_broken_by(wrong: Site, mutant: Mutant) -> None:
    switch = wrong.markers / mutant.name
    switch.touch()
    try:
        record = await play(wrong, plan(mutant), FAULTS.get(mutant.name, []))
    finally:
        switch.unlink()
    broken = check(record)
    assert {found.rule for found in broken} == {mutant.rule}, report(record, broken)
