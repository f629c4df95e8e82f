"""What a scrape reads of a real database: what waits there, and no number once it is gone."""

import math
from uuid import uuid4

from deploy.local.stack import Stack
from services.platform import metrics, outbox
from services.platform.metering import Measure
from services.platform.postgres import connect

PARKED = "INSERT INTO outbox (id, topic, key, value, made_at, parked) VALUES ($1, 't', 'k', 'v', now(), $2)"


async def test_the_outbox_is_read_and_leaves_no_number_when_the_database_is_gone(stack: Stack):
    pool, now = await connect(stack.dsn("gateway"), "test", 2), [0.0]
    measure = Measure(metrics.CLOSED, metrics.DATABASE_UP, lambda: outbox.measure(pool), lambda: now[0])
    parked = uuid4()
    await pool.execute(PARKED, parked, "TooLarge")
    try:
        await measure()
        assert metrics.OUTBOX_PARKED._value.get() >= 1
        assert metrics.DATABASE_UP._value.get() == 1
    finally:
        await pool.execute("DELETE FROM outbox WHERE id = $1", parked)
    pool.terminate()
    now[0] += 60
    await measure()
    assert math.isnan(metrics.OUTBOX_PARKED._value.get())
    assert math.isnan(metrics.OUTBOX_OLDEST_SECONDS._value.get())
    assert metrics.DATABASE_UP._value.get() == 0
