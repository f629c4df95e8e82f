"""Who takes a message: order, weight, account and country, room, breakers."""

import random
from collections import Counter
from uuid import UUID

import pytest

from services.delivery.lanes import FULL_PAUSE, Lane, Provider
from services.delivery.pauses import Pause
from services.delivery.provider import Blame, Message, Permanent, Retryable, Unknown
from services.delivery.routing import EVERYBODY, NoLane, Route, Routing
from tests.unit.delivery.clocks import Clock
from tests.unit.delivery.jobs import job

ACCOUNT = UUID(int=3)


class Nobody:
    gives_receipts = False

    def __init__(self, name: str, channel: str = "sms") -> None:
        self.name, self.channel = name, channel

    async def send(self, message: Message, timeout: float) -> str:
        return "x"

    async def close(self) -> None:
        return None


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def routing(clock: Clock) -> Routing:
    channels = [Nobody("a"), Nobody("b"), Nobody("c"), Nobody("mail", "email")]
    return Routing(channels, clock, 8, random.Random(7))


def rows(**positions: int) -> list[Provider]:
    return [Provider(name=name, channel="sms", position=place) for name, place in positions.items()]


def name(found: Lane | NoLane) -> str:
    assert isinstance(found, Lane), found
    return found.channel.name


def route(provider: str, account: str = "*", country: str = "*", position: int = 0, weight: int = 1) -> Route:
    return Route(account=account, country=country, provider=provider, position=position, weight=weight)


def fail(lane: Lane | NoLane, error: Exception, times: int = 1) -> None:
    assert isinstance(lane, Lane)
    for _ in range(times):
        with pytest.raises(type(error)), lane.call():
            raise error


def test_the_enabled_provider_of_the_lowest_position_is_asked(routing):
    routing.update(rows(a=2, b=1))
    assert name(routing.choose(job())) == "b"
    assert routing.choose(job(channel="email")) == NoLane(None)
    routing.update([Provider(name="b", channel="sms", enabled=False), *rows(a=2)])
    assert name(routing.choose(job())) == "a"
    routing.update([])
    assert routing.choose(job()) == NoLane(None)


def test_those_of_one_position_share_by_weight(routing):
    routing.update([Provider(name=n, channel="sms", weight=w) for n, w in (("a", 3), ("b", 1), ("c", 0))])
    asked = Counter(name(routing.choose(job())) for _ in range(4000))
    assert 2800 < asked["a"] < 3200
    assert asked["c"] == 0


def test_a_provider_without_weight_is_asked_when_no_other_can(routing):
    routing.update([Provider(name="a", channel="sms"), Provider(name="b", channel="sms", weight=0)])
    fail(routing.choose(job()), Unknown("provider-silent"), 5)
    assert name(routing.choose(job())) == "b"


@pytest.mark.parametrize(
    ("account", "country", "asked"),
    [(ACCOUNT, "GB", "b"), (ACCOUNT, "FR", "c"), (UUID(int=9), "GB", "b"), (UUID(int=9), "FR", "a")],
)
def test_the_closest_routes_count(routing, account, country, asked):
    routes = [route("b", str(ACCOUNT), "GB"), route("c", str(ACCOUNT)), route("b", country="GB"), route("a")]
    routing.update(rows(c=0, b=1, a=2), routes)
    assert name(routing.choose(job(account_id=account, country=country))) == asked


def test_routes_to_providers_that_are_off_are_passed_over(routing):
    routing.update(rows(a=0), [route("b", str(ACCOUNT), "GB"), route("gone", str(ACCOUNT))])
    assert name(routing.choose(job())) == "a"


def test_another_try_asks_another_provider_where_there_is_one(routing):
    routing.update(rows(a=0, b=1))
    assert name(routing.choose(job(tries=2, provider="a"))) == "b"
    assert name(routing.choose(job(tries=2, provider="b"))) == "a"
    assert routing.another(job(), "a")
    routing.update(rows(a=0))
    assert name(routing.choose(job(tries=2, provider="a"))) == "a"
    assert not routing.another(job(), "a")


def test_a_provider_that_is_full_gives_way_to_the_next_and_then_the_message_waits(routing):
    routing.update([Provider(name="a", channel="sms", slots=1), Provider(name="b", channel="sms", position=1, slots=1)])
    first, second = routing.choose(job()), None
    assert isinstance(first, Lane)
    with first.call():
        second = routing.choose(job())
        assert isinstance(second, Lane)
        assert name(second) == "b"
        with second.call():
            assert routing.choose(job()) == NoLane(FULL_PAUSE)
            assert routing.room()["sms"] == 0
    assert name(routing.choose(job())) == "a"


def test_one_slow_provider_leaves_a_quarter_of_the_workers_calls_to_others(routing):
    routing.update([*rows(a=0), Provider(name="mail", channel="email")])
    assert routing.room() == {"sms": 6, "email": 6}


def test_where_nobody_is_switched_on_there_is_room_for_all_so_that_they_end_at_once(routing):
    routing.update([Provider(name="a", channel="sms", enabled=False), Provider(name="mail", channel="email")])
    assert routing.room() == {"sms": EVERYBODY, "email": 6}
    assert routing.choose(job()) == NoLane(None)


def test_no_more_than_so_many_a_second(routing, clock):
    routing.update([Provider(name="a", channel="sms", per_second=2, slots=100)])
    made = 0
    for _ in range(100):
        lane = routing.choose(job())
        if isinstance(lane, Lane):
            with lane.call():
                made += 1
        clock.now += 0.1
    assert 20 <= made <= 22  # ten seconds' worth, and what one second may bring at once


def test_when_all_are_silent_it_says_when_one_may_be_asked(routing, clock):
    routing.update(rows(a=0, b=1))
    fail(routing.choose(job()), Unknown("provider-silent"), 5)
    fail(routing.choose(job()), Retryable("rate-limited", 12.0))
    assert routing.choose(job()) == NoLane(1.0, down=True)
    clock.now += 1
    assert name(routing.choose(job())) == "a"


@pytest.mark.parametrize(
    ("pause", "held"),
    [
        (Pause(), True),
        (Pause(account=str(ACCOUNT)), True),
        (Pause(account=str(UUID(int=9))), False),
        (Pause(channel="sms", country="GB"), True),
        (Pause(channel="email"), False),
        (Pause(country="FR"), False),
        (Pause(provider="a"), False),
        (Pause(provider="a", country="FR"), False),
    ],
)
def test_what_operators_hold_back_waits(routing, pause, held):
    routing.update(rows(a=0, b=1), pauses=[pause])
    chosen = routing.choose(job())
    assert (chosen == NoLane(None, held=True)) is held
    if not held:
        assert name(chosen) == ("b" if pause == Pause(provider="a") else "a")


def test_a_paused_provider_gives_way_and_only_without_another_do_its_messages_wait(routing):
    routing.update(rows(a=0), pauses=[Pause(provider="a")])
    assert routing.choose(job()) == NoLane(None, held=True)
    routing.update(rows(a=0, b=1), pauses=[Pause(provider="b")])
    assert not routing.another(job(), "a")


@pytest.mark.parametrize(
    ("error", "opens"),
    [
        (Permanent("invalid-number"), False),
        (Permanent("x", Blame.ROUTE), False),
        (Permanent("x", Blame.PROVIDER), True),
    ],
)
def test_what_is_wrong_with_a_number_says_nothing_about_its_provider(routing, error, opens):
    routing.update(rows(a=0))
    fail(routing.choose(job()), error, 20)
    assert isinstance(routing.choose(job()), NoLane) is opens
