"""Row of the flood: logins by the topic and by HTTP at the same time, while each process of the system is killed once.

The module that plays it is that of the test (`tests/flood`). A figure of a run that broke a rule is not shown.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING, Final

from tests.bench.figures import Figure, Stopwatch, percentile
from tests.bench.world import World, settled

if TYPE_CHECKING:
    from tests.flood.play import Flood, Size
    from tests.flood.result import Flooded

PATIENCE: Final = 540.0  # a code's life at most, which is how old a login may get before it is opened
BOTH: Final = 0.02


async def flood(world: World) -> AsyncIterator[Figure]:
    """The rate of all of it, deaths included; how long a login waited by either road, and its code."""
    from tests.flood.play import Size, prepared  # needs the client: `make bench` says where it is

    topic, http = world.options.flood
    size = Size(topic, http, both=round(topic * BOTH), again=round(topic * BOTH))
    calls = Counter[str]()
    async with prepared(world.stack, size) as played:
        await settled()
        watch = Stopwatch(world.meter())
        world.provider.seen = lambda to, _: calls.update([to])
        with watch:
            await _run(world, played, watch)
        found = await played.result()
    world.provider.seen, found.calls = None, calls
    for figure in _figures(found, watch, size):
        yield figure


async def _run(world: World, played: Flood, watch: Stopwatch) -> None:
    """What the old process took is kept before it is killed."""

    async def kill(service: str) -> None:
        watch.meter.ends(service)
        await played.kill(service)
        watch.meter.pids |= world.pids()

    await played.run(PATIENCE, kill)


def _figures(found: Flooded, watch: Stopwatch, size: Size) -> list[Figure]:
    from tests.flood.result import broken, report

    if failed := broken(found):
        raise RuntimeError(report(failed))
    watch.times, by_http = found.lags(found.by_topic, found.by_http), found.lags(found.by_http, found.by_topic)
    what = f"flood: {size.topic:,} by the topic, {size.http:,} by HTTP, each process killed: lag by the topic"
    whole = watch.figure("flood", what, "logins/s", len(found.logins))
    whole.rate = float(f"{len(found.logins) / found.seconds:.4g}")
    whole.more = {
        "seconds_to_the_last_login": round(found.seconds, 1),
        "records_behind_at_most": found.most_behind,
        "by_both_roads": size.both,
        "written_twice": size.again,
        "busy": found.busy,
        "codes": sum(found.calls.values()),
        "deaths": [death._asdict() for death in found.deaths],
    }
    waits = {"the same, lag by HTTP": by_http, "the same, from open to its SMS sent": found.code_lags()}
    return [whole, *(_waited(what, times) for what, times in waits.items())]


def _waited(what: str, times: list[float]) -> Figure:
    """How long, without a rate of its own."""
    p50, p99, worst = (float(f"{percentile(times, share) * 1000:.4g}") for share in (0.5, 0.99, 1.0))
    return Figure(
        row="flood", what=what, operations=len(times), seconds=0, rate=0, unit="", p50=p50, p99=p99, worst=worst
    )
