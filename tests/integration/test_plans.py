"""Whatever the statistics were when a plan was made: a row that a statement names is found by its key."""

from __future__ import annotations

import json
import re
from typing import Any
from uuid import uuid4

import asyncpg
import msgspec
import pytest

from deploy.local.postgres import OWNER
from deploy.local.stack import Stack
from services.delivery.deliveries import Wanted
from services.delivery.postgres import intake, ledger, reading, replay_rows, results
from services.delivery.states import State
from services.login_gateway.postgres import auditing, logins, reports, tries, upkeep, users
from services.platform import outbox, postgres
from services.session_store import listing
from tests.integration.databases import own_database

QUEUES = {"logins_due", "logins_account_pending", "deliveries_queue", "deliveries_due"}
BY_KEY = {
    "gateway": (
        tries.COUNT_TRY,
        tries.CLOSE,
        tries.FINISH,
        logins.COUNT_SEND,
        logins.SET_DELIVERY,
        upkeep.CLOSE_OF_USER,
    ),
    "delivery": (
        ledger.RECEIVABLE,
        ledger.CLAIM_THESE,
        ledger.LOGINS_NOW,
        ledger.GIVE_BACK,
        results.SETTLE,
        results.SETTLE_WITH_EMAIL,
        intake.WAKE_EMAILS,
        intake.CLOSE,
    ),
}

TABLES = {"gateway": ("logins",), "delivery": ("deliveries", "logins")}


@pytest.mark.parametrize("service", BY_KEY)
async def test_no_row_is_looked_for_in_an_index_of_what_waits(stack: Stack, service: str) -> None:
    connection = await asyncpg.connect(stack.dsn(service), statement_cache_size=0)
    try:
        await connection.execute("SET enable_seqscan = off; SET plan_cache_mode = force_generic_plan")
        for statement in BY_KEY[service]:
            assert not QUEUES & used(await plan_of(connection, statement)), statement
    finally:
        await connection.close()


@pytest.mark.parametrize("service", BY_KEY)
async def test_a_new_table_is_read_by_its_keys(stack: Stack, service: str) -> None:
    """A worker's first plans are made of tables that nobody has counted yet, and are kept while these grow."""
    owner = await asyncpg.connect(stack.dsn(service, OWNER), statement_cache_size=0, server_settings=postgres.SETTINGS)
    try:
        await owner.execute("BEGIN; CREATE SCHEMA new; SET plan_cache_mode = force_generic_plan")
        for table in TABLES[service]:
            await owner.execute(f"CREATE TABLE new.{table} (LIKE public.{table} INCLUDING ALL)")
        await owner.execute("SET search_path = new, public")
        for statement in BY_KEY[service]:
            assert not set(TABLES[service]) & read_whole(await plan_of(owner, statement)), statement
    finally:
        await owner.close()  # and nothing was made


NOT_ARRIVED = {"deliveries_not_arrived", "deliveries_not_arrived_account", "deliveries_trouble"}
OF_AN_ACCOUNT = Wanted(account=uuid4())
REPLAYS = {
    "deliveries_not_arrived": Wanted(),
    "deliveries_not_arrived_account": OF_AN_ACCOUNT,
    "deliveries_account": msgspec.structs.replace(OF_AN_ACCOUNT, state=State.SENT),
}


@pytest.mark.parametrize("index", REPLAYS)
async def test_a_replay_looks_through_what_did_not_arrive(stack: Stack, index: str) -> None:
    """Each page begins where the one before ended, and reads no row of what arrived."""
    connection = await asyncpg.connect(stack.dsn("delivery"), statement_cache_size=0)
    try:
        await connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        assert index in used(await plan_of(connection, replay_rows.candidates_query(REPLAYS[index]).m))
    finally:
        await connection.close()


@pytest.mark.parametrize("statement", ["PAGE", "COUNT", "COUNT_OLDER"])
async def test_live_sessions_are_not_written_down_to_be_counted_or_shown(stack: Stack, statement: str) -> None:
    """Whoever lists or counts them stops at a number, however many there are."""
    connection = await asyncpg.connect(stack.dsn("session-store"), statement_cache_size=0)
    try:
        await connection.execute("SET plan_cache_mode = force_generic_plan")
        plan = json.dumps(await plan_of(connection, getattr(listing, statement)))
        assert "CTE live" not in plan
        assert "CTE timeline" in plan  # worked out once, not for each session
    finally:
        await connection.close()


CONSOLE_PAGES = {
    "users_account": users.PAGE,
    "users_outside": reports.PAGE,
    "audit_account": auditing.PAGE,
}


@pytest.mark.parametrize("index", CONSOLE_PAGES)
async def test_a_page_of_the_account_console_begins_where_the_one_before_ended(stack: Stack, index: str) -> None:
    """In tables of its own: of one account's rows alone every index would do."""
    async with own_database(stack, "gateway") as dsn:
        connection = await asyncpg.connect(dsn, statement_cache_size=0)
        try:
            await connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET enable_bitmapscan = off")
            await connection.execute("SET plan_cache_mode = force_generic_plan")
            assert index in used(await plan_of(connection, CONSOLE_PAGES[index]))
        finally:
            await connection.close()


async def test_failures_are_summed_from_what_did_not_arrive_only(stack: Stack) -> None:
    connection = await asyncpg.connect(stack.dsn("delivery"), statement_cache_size=0)
    try:
        async with connection.transaction():
            await connection.execute(f"{reading.IN_ORDER}; SET LOCAL plan_cache_mode = force_generic_plan")
            assert used(await plan_of(connection, reading.FAILURES)) & NOT_ARRIVED
    finally:
        await connection.close()


@pytest.mark.parametrize("service", ["gateway", "delivery", "session-store"])
async def test_parked_events_are_counted_without_reading_those_that_wait(stack: Stack, service: str) -> None:
    connection = await asyncpg.connect(stack.dsn(service), statement_cache_size=0)
    try:
        await connection.execute("SET enable_seqscan = off")
        assert {"outbox_parked", "outbox_due"} <= used(await plan_of(connection, outbox.STANDING))
    finally:
        await connection.close()


async def plan_of(connection: asyncpg.Connection[asyncpg.Record], statement: str) -> dict[str, Any]:
    nothing = ", ".join(["NULL"] * max([int(number) for number in re.findall(r"\$(\d+)", statement)], default=0))
    await connection.execute(f"DEALLOCATE ALL; PREPARE asked AS {statement}")
    asked = f"asked ({nothing})" if nothing else "asked"
    (answer,) = json.loads(await connection.fetchval(f"EXPLAIN (FORMAT JSON) EXECUTE {asked}"))
    plan: dict[str, Any] = answer["Plan"]
    return plan


def read_whole(plan: dict[str, Any]) -> set[str]:
    """The tables that a plan, or what is under it, reads without looking for a key."""
    whole = plan["Node Type"] == "Seq Scan" or ("Index Name" in plan and "Index Cond" not in plan)
    here = {plan.get("Relation Name", "")} if whole else set[str]()
    return here.union(*map(read_whole, plan.get("Plans", [])))


def used(plan: dict[str, Any]) -> set[str]:
    """The indexes of a plan and of all that is under it."""
    return {plan.get("Index Name", "")}.union(*map(used, plan.get("Plans", [])))


@pytest.mark.parametrize("service", ["gateway", "delivery", "session-store"])
async def test_the_planner_keeps_no_copies_of_events_and_of_the_hashes_of_clients(stack: Stack, service: str) -> None:
    owner = await asyncpg.connect(stack.dsn(service, OWNER))
    try:
        await owner.execute("INSERT INTO outbox (id, topic, key, value) SELECT gen_random_uuid(), 't', 'k', 'v'")
        await owner.execute("ANALYZE outbox, clients")
        kept = await owner.fetch("SELECT attname FROM pg_stats WHERE tablename IN ('outbox', 'clients')")
        await owner.execute("DELETE FROM outbox WHERE topic = 't'")
    finally:
        await owner.close()
    names = {row["attname"] for row in kept}
    assert "topic" in names
    assert not names & {"value", "headers", "secret_hash"}
