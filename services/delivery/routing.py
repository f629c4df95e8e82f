"""Which provider takes a message: by account and country, in order, by weight; the next one where one cannot."""

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple
from uuid import UUID

from services.delivery.lanes import Lane, Provider
from services.delivery.pauses import ANY, Pause, Pauses
from services.delivery.ports import Job
from services.delivery.provider import Channel

EVERYBODY: Final = 10_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Route:
    """A provider's place for one account, one country, or both; `*` is any. The closest routes are the ones that count:
    of account and country, of the account, of the country; without any, the providers' own places.
    """

    account: str
    country: str
    provider: str
    position: int
    weight: int


class NoLane(NamedTuple):
    """Nobody takes it now. `pause`: seconds until somebody may; None: there is nobody. `down`: all are silent; `held`:
    operators hold it back.
    """

    pause: float | None
    down: bool = False
    held: bool = False


class Routing:
    """All of it in memory, fed anew every two seconds."""

    def __init__(
        self, channels: Iterable[Channel], now: Callable[[], float], worker_slots: int, dice: random.Random
    ) -> None:
        self._lanes: Mapping[str, Lane] = {c.name: Lane(c, now, worker_slots) for c in channels}
        self._routes: dict[tuple[str, str], list[Route]] = {}
        self._dice = dice
        self._pauses = Pauses()

    def update(self, providers: Iterable[Provider], routes: Iterable[Route] = (), pauses: Iterable[Pause] = ()) -> None:
        """Providers that have no row are not used."""
        self.hold(pauses)
        rows = {provider.name: provider for provider in providers}
        for name, lane in self._lanes.items():
            lane.provider = rows.get(name) or replace(lane.provider, enabled=False)
        self._routes = {}
        for route in routes:
            self._routes.setdefault((route.account, route.country), []).append(route)

    def hold(self, pauses: Iterable[Pause]) -> None:
        """As soon as this worker hears of them."""
        self._pauses = Pauses(pauses)

    def choose(self, job: Job) -> Lane | NoLane:
        """The first in order that answers and has room; for another try, first those that were not asked just now."""
        lanes = self._in_order(job)
        paused = self._pauses.without(job)
        lanes, all_lanes = [lane for lane in lanes if lane.channel.name not in paused], lanes
        if self._pauses.holds(job) or (all_lanes and not lanes):
            return NoLane(None, held=True)
        if job.provider is not None:
            lanes.sort(key=lambda lane: lane.channel.name == job.provider)
        answering = [lane for lane in lanes if not lane.breaker.pause()]
        for lane in answering:
            if not lane.pause():
                return lane
        if answering:
            return NoLane(min(lane.pause() for lane in answering))
        return NoLane(min(lane.breaker.pause() for lane in lanes), down=True) if lanes else NoLane(None)

    def another(self, job: Job, name: str) -> bool:
        """Whether a provider other than that one answers and has room for it."""
        others = self._places(job).keys() - self._pauses.without(job) - {name}
        lanes = [self._lanes[other] for other in others]
        return any(not lane.breaker.pause() and not lane.pause() for lane in lanes)

    def room(self) -> dict[str, int]:
        """For each channel, how many calls could begin now. Where nobody is switched on there is room for all: they end
        at once, for want of a provider.
        """
        switched_on = [lane for lane in self._lanes.values() if lane.provider.enabled]
        return {name: _room(lane for lane in switched_on if lane.channel.channel == name) for name in ("sms", "email")}

    def lanes(self) -> list[Lane]:
        return list(self._lanes.values())

    def names(self) -> list[tuple[str, str]]:
        return [(lane.channel.name, lane.channel.channel) for lane in self._lanes.values()]

    async def close(self) -> None:
        for lane in self._lanes.values():
            await lane.channel.close()

    def _in_order(self, job: Job) -> list[Lane]:
        """By position; those of one position by chance, a weight of two coming first twice as often as one of one."""
        places = self._places(job)
        shuffled = {name: self._dice.random() ** (1 / place[1]) if place[1] else 0.0 for name, place in places.items()}
        return [self._lanes[name] for name in sorted(places, key=lambda name: (places[name][0], -shuffled[name], name))]

    def _places(self, job: Job) -> dict[str, tuple[int, int]]:
        """Position and weight of each enabled provider that may take it."""
        own = {n: lane.provider for n, lane in self._lanes.items() if _takes(lane, job.channel)}
        for routes in self._closest(job.account_id, job.country or ANY):
            if found := {r.provider: (r.position, r.weight) for r in routes if r.provider in own}:
                return found
        return {name: (provider.position, provider.weight) for name, provider in own.items()}

    def _closest(self, account: UUID, country: str) -> Sequence[Sequence[Route]]:
        keys = ((str(account), country), (str(account), ANY), (ANY, country), (ANY, ANY))
        return [self._routes[key] for key in keys if key in self._routes]


def _room(lanes: Iterable[Lane]) -> int:
    free = [lane.free for lane in lanes]
    return sum(free) if free else EVERYBODY


def _takes(lane: Lane, channel: str) -> bool:
    return lane.channel.channel == channel and lane.provider.enabled
