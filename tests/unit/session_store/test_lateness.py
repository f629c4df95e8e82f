"""How late ends of sessions are known: measured once for each, and never for what was known already."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked
from services.platform import metrics
from services.session_store.lateness import measure, measure_floors
from services.session_store.memory import Change, Memory

NOW = 1_800_000_000.0
BEFORE = datetime.fromtimestamp(NOW, UTC) - timedelta(seconds=3)


def ends() -> list[Change]:
    envelope: dict[str, Any] = {"id": str(uuid4()), "source": "test", "time": BEFORE, "account_id": str(uuid4())}
    user: dict[str, Any] = {"user_id": str(uuid4())}
    return [
        ExpireAll(**envelope, **user, scope="user", floor=round(NOW * 1000) - 3000, by="test"),
        SessionPolicyChanged(**envelope, max_age=3600, effective_at=BEFORE, by="test"),
        SessionRevoked(**envelope, **user, login_id=str(uuid4()), by="test"),
    ]


def measured(event: str) -> tuple[float, float]:
    """How many, and how long in all."""
    of = metrics.REVOCATION_LAG_SECONDS.labels(event)
    return sum(bucket.get() for bucket in of._buckets), of._sum.get()


@pytest.mark.parametrize("change", ends(), ids=lambda change: type(change).__name__)
def test_an_end_is_measured_when_it_is_first_heard_of(change: Change):
    memory, name = Memory(), type(change).__name__
    many, long = measured(name)
    for _ in range(2):
        measure(memory, change, NOW)
        memory.apply(change, NOW)
    assert measured(name)[0] == many + 1
    assert measured(name)[1] == pytest.approx(long + 3)


def test_a_floor_that_a_neighbour_wrote_is_measured_by_its_own_time():
    memory = Memory()
    row: dict[str, Any] = {"scope": "account", "id": uuid4(), "floor": round(NOW * 1000) - 2000}
    many, long = measured("ExpireAll")
    measure_floors(memory, [row], NOW)
    memory.rules.raise_floor(row["scope"], row["id"], row["floor"])
    measure_floors(memory, [row], NOW)
    assert measured("ExpireAll")[0] == many + 1
    assert measured("ExpireAll")[1] == pytest.approx(long + 2)


def test_clocks_that_differ_give_no_negative_lag():
    change = ends()[0]
    _, long = measured("ExpireAll")
    measure(Memory(), change, NOW - 60)
    assert measured("ExpireAll")[1] == long
