"""A thousand messages failed in an outage; one command sends those again that are still of use, whoever dies.

They are true ones: challenges on Kafka as the gateway seals them, refused by the provider.
"""

import asyncio
import json
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple
from uuid import UUID

import pytest
import pytest_asyncio

from services.platform.clock import new_id
from tests.e2e.test_commands import Terminal
from tests.e2e.test_outages import frozen
from tests.faults.acts import signalled, until
from tests.faults.recorder import rows
from tests.faults.site import Site, does_its_work
from tests.integration.delivery.conftest import place, world
from tests.integration.delivery.world import Login, World

__all__ = ["place", "world"]

REFUSE: Final = {"sms": {"*": {"mode": "refuse", "code": 21614}}}
SHORT_SECONDS: Final = 3
LONG_SECONDS: Final = 600
ENDED: Final = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND state IN ('failed', 'expired', 'unknown')"
STILL_ALIVE: Final = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND expires_at > now()"
WAITING: Final = "SELECT count(*) FROM deliveries WHERE account_id = $1 AND state IN ('queued', 'sending', 'sent')"
AGAIN: Final = (
    "SELECT login_id, channel, state, doubtful FROM deliveries WHERE account_id = $1 AND cause LIKE 'replay:%'"
)
AUDIT: Final = "SELECT action, who, details FROM audit WHERE subject = $1 ORDER BY id"


class Outage(NamedTuple):
    """An account of which every message failed; `alive` can still use their codes."""

    account: UUID
    alive: Sequence[Login]
    over: Sequence[Login]


@pytest_asyncio.fixture
async def desk(site: Site, world: World, tmp_path: Path) -> AsyncIterator[Terminal]:
    """An operator's terminal."""
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in site.stack.environment.urls().items()}
    client = {"GATEPOST_CLIENT_FILE": str(site.stack.environment.client_file("operator"))}
    yield Terminal(tmp_path, **urls, **client)
    await world.faults()


async def outage(site: Site, world: World, alive: int, over: int) -> Outage:
    account = new_id()
    await world.faults(**REFUSE)
    made = [Login(account=account, email=None, seconds=SHORT_SECONDS) for _ in range(over)]
    made += [Login(account=account, email=None, seconds=LONG_SECONDS) for _ in range(alive)]
    await asyncio.gather(*(world.open(login) for login in made))
    await until(lambda: is_many(site, ENDED, account, alive + over), "every message has failed", 120)
    await until(lambda: is_many(site, STILL_ALIVE, account, alive), "half of the codes are over")
    await world.faults()
    return Outage(account, made[over:], made[:over])


async def is_many(site: Site, query: str, account: UUID, wanted: int) -> bool:
    return bool((await rows(site.stack, "delivery", query, account))[0][0] == wanted)


def create(of: Outage, *more: str) -> Sequence[str]:
    return ("replays", "create", "--yes", "--account", str(of.account), "--json", *more)


async def settled(site: Site, of: Outage) -> None:
    await until(lambda: is_many(site, WAITING, of.account, 0), "nothing waits")


async def got(world: World, logins: Sequence[Login]) -> Counter[str]:
    """How many messages there are at the provider, by phone."""
    found = [await world.messages(login.phone) for login in logins]
    return Counter({str(login.phone): len(each) for login, each in zip(logins, found, strict=True)})


async def each_is_sent_once(site: Site, world: World, of: Outage) -> None:
    """One row a login. Where a worker died in the middle of a call, nobody knows what came of it: once more then."""
    await settled(site, of)
    made = await rows(site.stack, "delivery", AGAIN, of.account)
    assert Counter(row["login_id"] for row in made) == Counter(login.login_id for login in of.alive)
    doubts = {row["login_id"]: row["doubtful"] for row in made}
    assert {row["state"] for row in made if not row["doubtful"]} == {"delivered"}
    assert sum(doubts.values()) <= max(site.slots, len(of.alive) // 10)
    seen = await got(world, of.alive)
    assert all(1 <= seen[str(login.phone)] <= 1 + doubts[login.login_id] for login in of.alive)
    assert not any((await got(world, of.over)).values())


@pytest.mark.timeout(240)
async def test_an_outage_of_a_thousand_messages_is_mended_by_one_command(site: Site, world: World, desk: Terminal):
    of = await outage(site, world, alive=500, over=500)
    status, said = await desk.run("replays", "create", "--dry-run", "--account", str(of.account), "--json")
    assert (status, json.loads(said)["counts"]) == (0, {"replayed": 500, "expired": 500}), said
    status, said = await desk.run(*create(of, "--replay-id", "mend", "--per-second", "200"))
    done = json.loads(said)
    assert (status, done["state"], done["matched"]) == (0, "done", 1000), said
    assert done["counts"] == done["planned"] == {"replayed": 500, "expired": 500}
    await each_is_sent_once(site, world, of)
    for again in (("--replay-id", "mend"), ()):
        status, said = await desk.run(*create(of, *again))
        assert (status, json.loads(said)["state"], json.loads(said)["repeated"]) == (0, "done", bool(again)), said
    assert json.loads(said)["counts"] == {"replayed": 0, "expired": 500}
    await each_is_sent_once(site, world, of)
    audited = await rows(site.stack, "delivery", AUDIT, "mend")
    assert [row["action"] for row in audited] == ["deliveries.replay", "deliveries.replay-done"]
    assert json.loads(audited[-1]["details"])["counts"] == {"replayed": 500, "expired": 500}
    status, said = await desk.run("replays", "show", "mend", "--account", str(of.account), "--json")
    assert (status, json.loads(said)["became"]) == (0, {"delivered": 500}), said


async def is_under_way(world: World, of: Outage, replay_id: str) -> bool:
    url, params = f"{world.url}/v1/replays/{replay_id}", {"account": str(of.account)}
    async with world.http.get(url, headers=world.auth, params=params) as answer:
        return answer.status == 200 and (await answer.json())["counts"]["replayed"] > len(of.alive) // 4


async def killed_in_a_step(site: Site) -> None:
    """The worker has made rows, and dies before it commits."""
    child, marker = site.stack.child("delivery"), site.markers / "delivery.in-replay"
    before = child.restarts
    marker.touch()
    await until(lambda: child.restarts > before, "nobody died in a replay")


@pytest.mark.timeout(240)
@pytest.mark.parametrize("is_command_killed", [False, True], ids=["it goes on", "it is run again"])
async def test_a_replay_whose_worker_is_killed_is_finished_and_sends_nothing_twice(
    site: Site, world: World, desk: Terminal, is_command_killed: bool
):
    of, replay_id = await outage(site, world, alive=120, over=20), f"killed-{new_id()}"
    command = create(of, "--replay-id", replay_id, "--per-second", "30")
    running = await desk.start(*command)
    await until(lambda: is_under_way(world, of, replay_id), "the replay has begun")
    if is_command_killed:
        os.kill(running.pid, signal.SIGKILL)
    await killed_in_a_step(site)
    if is_command_killed:
        await running.communicate()
        await until(lambda: does_its_work(site.stack.child("delivery")), "delivery is back")
        running = await desk.start(*command)
    out, problems = await running.communicate()
    assert running.returncode == 0, out + problems
    done = json.loads(out)
    assert (done["state"], done["repeated"]) == ("done", is_command_killed)
    assert done["counts"] == {"replayed": 120, "expired": 20}
    await each_is_sent_once(site, world, of)


async def postgres_again(site: Site) -> None:
    child = site.stack.child("postgres")
    await signalled(child, signal.SIGQUIT)
    await until(lambda: does_its_work(child), "Postgres is back", 120)


async def commits_unheard(site: Site) -> None:
    proxy = site.databases["delivery"]
    proxy.lose("COMMIT", 3)
    try:
        await until(lambda: proxy.lost >= 3, "three commits whose answer got lost")
    finally:
        proxy.lose("COMMIT", 0)


TROUBLES: Final[dict[str, Callable[[Site], Awaitable[None]]]] = {
    "Postgres dies": postgres_again,
    "answers to COMMIT are lost": commits_unheard,
}


@pytest.mark.timeout(240)
@pytest.mark.parametrize("trouble", TROUBLES)
async def test_a_replay_goes_on_after(site: Site, world: World, desk: Terminal, trouble: str):
    of, replay_id = await outage(site, world, alive=120, over=20), f"trouble-{new_id()}"
    running = await desk.start(*create(of, "--replay-id", replay_id, "--per-second", "30"))
    await until(lambda: is_under_way(world, of, replay_id), "the replay has begun")
    await TROUBLES[trouble](site)
    out, problems = await running.communicate()
    assert running.returncode == 0, out + problems
    assert json.loads(out)["counts"] == {"replayed": 120, "expired": 20}
    await each_is_sent_once(site, world, of)


@pytest.mark.timeout(240)
async def test_a_replay_needs_no_kafka(site: Site, world: World, desk: Terminal):
    of = await outage(site, world, alive=60, over=20)
    with frozen(site.stack, "kafka"):
        status, said = await desk.run(*create(of))
        assert (status, json.loads(said)["counts"]) == (0, {"replayed": 60, "expired": 20}), said
    await each_is_sent_once(site, world, of)
