"""Charts and providers' figures out of minutes that were added up."""

from datetime import UTC, datetime, timedelta

import pytest

from services.delivery.figures import LENGTH, STEP, Charts, Figures, Read, Span, Sum, figures_of, percentile

NOW = datetime(2026, 11, 26, 10, 34, 56, tzinfo=UTC)


def sums(what: str, many: int, bucket: int = 0, at: datetime = NOW, provider: str = "twilio") -> Sum:
    return Sum(at.replace(second=0, microsecond=0), "sms", provider, what, bucket, many)


@pytest.mark.parametrize(("span", "points", "first"), [("hour", 60, "09:35"), ("day", 144, "10:40")])
def test_a_chart_has_a_point_for_each_step_also_where_nothing_happened(span: Span, points: int, first: str):
    made = figures_of(span, Read(NOW, []))
    assert len(made.points) == points
    assert f"{made.points[0].at:%H:%M}" == first
    assert made.points[-1].at <= NOW < made.points[-1].at + STEP[span]
    assert made.points[0].at > NOW - LENGTH[span]
    assert {(p.made, p.taken, p.lost, p.sms_ms, p.email_ms) for p in made.points} == {(0, 0, 0, None, None)}
    assert made.providers == []


def test_what_happened_stands_at_its_step():
    earlier = NOW - timedelta(minutes=7)
    made = figures_of("hour", Read(NOW, [sums("made", 5), sums("lost", 2, at=earlier), sums("taken", 3, 20)]))
    assert (made.points[-1].made, made.points[-1].taken, made.points[-8].lost) == (5, 3, 2)
    assert made.points[-1].sms_ms == pytest.approx(1.25**19.5, rel=0.01)
    assert made.points[-1].email_ms is None


def test_a_provider_is_not_blamed_for_numbers_that_do_not_exist():
    read = Read(NOW, [sums("taken", 6, 20), sums("refused", 2, 20), sums("wrong_number", 92, 20), sums("arrived", 5)])
    (found,) = figures_of("hour", read).providers
    assert (found.calls, found.taken, found.wrong_numbers, found.success, found.arrived) == (100, 6, 92, 0.75, 5)


def test_a_provider_that_was_not_called_has_no_success_and_no_times():
    (found,) = figures_of("hour", Read(NOW, [sums("not_arrived", 1), sums("made", 1, provider="")])).providers
    assert (found.success, found.p50_ms, found.p95_ms, found.not_arrived) == (None, None, None, 1)


def test_percentiles_are_those_of_the_calls_to_within_an_eighth():
    calls = [sums("taken", 94, 20), sums("refused", 5, 30), sums("taken", 1, 37)]
    assert percentile(0.5, calls) == pytest.approx(1.25**20, rel=0.13)
    assert percentile(0.95, calls) == pytest.approx(1.25**30, rel=0.13)
    assert percentile(1, calls) == pytest.approx(1.25**37, rel=0.13)
    assert percentile(0.95, [sums("made", 9)]) is None


class Counting:
    """Minutes that count how often they are read."""

    def __init__(self) -> None:
        self.reads = 0

    async def read(self, length: timedelta, step: timedelta) -> Read:
        self.reads += 1
        return Read(NOW, [])

    async def add(self, most: int) -> bool:
        return False

    async def tidy(self) -> None: ...


async def test_many_who_look_at_once_cost_one_look():
    minutes, clock = Counting(), [0.0]
    charts = Charts(minutes, lambda: clock[0])
    seen: list[Figures] = [await charts.figures("hour") for _ in range(5)]
    assert minutes.reads == 1
    await charts.figures("day")
    assert minutes.reads == 2
    clock[0] += 3
    assert await charts.figures("hour") is not seen[0]
    assert minutes.reads == 3
