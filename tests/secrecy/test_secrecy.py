"""Canaries in every input field; then every place that the whole run wrote to is searched for them."""

import asyncio
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import pytest
import pytest_asyncio

from deploy.local.people import Api
from deploy.local.stack import Stack
from tests.secrecy import (
    kafka,
    known,
    mutants,
    play,
    play_account,
    play_commands,
    play_feed,
    play_guard,
    play_misplaced,
    play_operations,
    play_pages,
    play_people,
    play_records,
    play_wordings,
)
from tests.secrecy.allowed import ALLOWED, is_allowed
from tests.secrecy.canaries import Canaries
from tests.secrecy.leaking import MUTANTS
from tests.secrecy.needles import Secret
from tests.secrecy.pieces import Piece
from tests.secrecy.play import Cast
from tests.secrecy.scan import Extra, Finding, Scanned, scan


@dataclass(frozen=True)
class Result:
    secrets: list[Secret]
    scanned: Scanned

    def of_mutant(self, name: str) -> list[Finding]:
        return [f for f in self.scanned.findings if (f.secret.field, f.secret.name) == ("mutant", name)]


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def result(stack: Stack, tmp_path_factory: pytest.TempPathFactory) -> Result:
    canaries = Canaries()
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as http:
        auth = {"Authorization": aiohttp.encode_basic_auth(*stack.client())}
        api = Api(http, stack.environment.urls(), stack.client())
        cast = Cast(stack, http, api, canaries, credentials=auth)
        await play.open_account(cast)
        seen = await _played(cast, tmp_path_factory.mktemp("secrecy"))
        async with mutants.leaking(cast) as (child, url):
            records = [record async for record in kafka.records(stack)]
            secrets = [*canaries.secrets, *known.keys(stack), *known.files(stack)]
            secrets += await known.contacts(stack, records, secrets)
            extra = Extra({child.pid or 0: mutants.NAME}, {mutants.NAME: f"{url}/metrics"}, seen)
            return Result(secrets, await scan(stack, records, secrets, extra))


async def _played(cast: Cast, folder: Path) -> list[Piece]:
    """All of the play, its parts at the same time where they do not touch."""
    parts = (play.by_imported_hash, play.by_administrator, play.not_delivered, play_people.imported, play_people.put)
    async with asyncio.TaskGroup() as group:
        for part in (
            *parts,
            play_feed.fed,
            play_feed.refused_credentials,
            play_records.play,
            play_misplaced.play,
            play_pages.play,
            play_operations.play,
            play_account.play,
        ):
            group.create_task(part(cast))
        one, two = (group.create_task(part(cast)) for part in (play.by_sms, play.by_fallback))
        seen = group.create_task(play_commands.play(cast, folder))
    await play_feed.fed_by_topic(cast)  # while its account has no budget, no other part may feed
    await play_guard.play(cast)
    await play_wordings.play(cast)  # after the misplaced secrets: one of those calls takes a wording back
    await play.wrong_passwords(cast, two.result())
    await play_people.edited(cast, one.result())
    body = {"confirm": cast.account}
    await cast.api.expect(200, "gateway", "POST", f"/v1/accounts/{cast.account}/expire-sessions", body)
    return seen.result()


def test_nothing_stands_where_design_does_not_allow_it(result: Result) -> None:
    found = [f for f in result.scanned.findings if f.secret.field != "mutant"]
    leaks = [str(f) for f in found if not is_allowed(f.secret, f.place, f.form)]
    assert not leaks, "\n".join([f"{len(leaks)} leaks:", *leaks[:60]])


def test_every_field_of_the_table_was_played_and_stands_in_every_place_that_it_is_allowed_for(result: Result) -> None:
    assert {secret.field for secret in result.secrets} | {known.OTHERS} == set(ALLOWED)
    unused = []
    for name, allowances in ALLOWED.items():
        places = {f.place for f in result.scanned.findings if f.secret.field == name}
        wanted = {f"postgres/{s}/{t}/row" for each in allowances for s, t in each.tables}
        wanted |= {f"kafka/{topic}/record" for each in allowances for topic in each.topics}
        unused += [f"{name}: {place}" for place in sorted(wanted - places)]
    assert not unused


@pytest.mark.parametrize("name", list(MUTANTS))
def test_a_mutant_that_leaks_is_found_where_it_leaks(result: Result, name: str) -> None:
    mutant, found = MUTANTS[name], result.of_mutant(name)
    assert (mutant.place, mutant.form) in {(f.place, f.form) for f in found}
    if mutant.only:
        assert {f.place for f in found} == {mutant.place}


def test_the_scan_read_every_kind_of_place(result: Result) -> None:
    read = result.scanned.bytes_of
    services = ("gateway", "delivery", "session-store")
    wanted = {"postgres/wal", "log/postgres", "log/kafka", "log/simulator", "kafka/__cluster_metadata/file"}
    wanted |= {f"postgres/{service}/{table}/row" for service in services for table in ("outbox", "audit", "clients")}
    wanted |= {f"{kind}/{service}" for service in services for kind in ("log", "metrics")}
    processes = ("kafka", "postgres", "simulator", *services)
    wanted |= {f"process/{name}/{kind}" for name in processes for kind in ("cmdline", "environ")}
    assert not {place for place in wanted if not read[place]}
