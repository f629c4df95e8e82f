"""The typed readers on the real topics."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import gatepost_client as gp
from deploy.local.stack import Stack
from deploy.local.story import Story
from gatepost_client import Gatepost, events, topics
from gatepost_client.errors import GatepostError
from gatepost_client.signatures import BadSignature, PublicKeys
from services.platform.kafka import Connection, Producer
from tests.e2e.client.test_signing_in import PASSWORD, by_email, code_of


async def test_a_login_is_seen_from_its_code_to_the_end_of_its_session(stack: Stack, story: Story, gatepost: Gatepost):
    user, contact = await by_email(story)
    login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(login, gp.Login)
    opened = await gatepost.logins.verify(login, await code_of(story, contact))
    await gatepost.sessions.revoke(opened.token)
    async with topics.delivery_outcomes(bootstrap_servers=stack.kafka) as reader:
        async for outcome in reader:
            if outcome.login_id == login.login_id:
                break
    assert isinstance(outcome, events.CodeSent)
    assert (outcome.channel, outcome.masked) == ("email", login.delivery.to or outcome.masked)
    keys, seen = PublicKeys(stack.environment.keys / "session-store" / "grants.pub.json"), list[type]()
    async with topics.session_events(keys, bootstrap_servers=stack.kafka) as sessions:
        async for event in sessions:
            if event.login_id == login.login_id:
                seen.append(type(event))
            if len(seen) == 2:
                break
    assert set(seen) == {events.Verified, events.SessionRevoked}


async def test_a_forged_record_is_left_out_and_told(stack: Stack, story: Story, gatepost: Gatepost):
    forged_by = secrets.token_hex(8)
    value = (
        f'{{"type":"ExpireAll","id":"{forged_by}","source":"x","time":"{datetime.now(UTC).isoformat()}",'
        f'"account_id":"{story.account}","user_id":"{forged_by}","scope":"user","floor":1,"by":"{forged_by}"}}'
    )
    producer = Producer(Connection(stack.kafka), "forger")
    await producer.send("session-events", forged_by.encode(), value.encode(), [("gatepost-signature", bytes(65))])
    await producer.stop()
    user, contact = await by_email(story)
    login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(login, gp.Login)
    await gatepost.logins.verify(login, await code_of(story, contact))
    keys = PublicKeys(stack.environment.keys / "session-store" / "grants.pub.json")
    told, seen, topic_told = asyncio.Event(), asyncio.Event(), set[str]()

    def on_bad(why: GatepostError, topic: str, partition: int, offset: int) -> None:
        assert isinstance(why, BadSignature)
        topic_told.add(topic)
        told.set()

    async def read(reader: topics.Reader[Any]) -> None:
        async for event in reader:
            assert getattr(event, "by", "") != forged_by
            if event.login_id == login.login_id:
                seen.set()

    reader = topics.session_events(keys, on_bad=on_bad, bootstrap_servers=stack.kafka)
    async with asyncio.timeout(60), reader, asyncio.TaskGroup() as group:
        reading = group.create_task(read(reader))
        # Partitions come in any order: the forged record may be the last of all.
        await asyncio.gather(told.wait(), seen.wait())
        reading.cancel()
    assert topic_told == {"session-events"}


async def test_a_group_goes_on_after_the_batches_that_it_finished(stack: Stack, story: Story, gatepost: Gatepost):
    options: dict[str, Any] = {"bootstrap_servers": stack.kafka, "group_id": f"dashboard-{secrets.token_hex(4)}"}

    async def one_more() -> str:
        user, contact = await by_email(story)
        login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
        assert isinstance(login, gp.Login)
        await code_of(story, contact)
        return login.login_id

    async def until(reader: AsyncIterator[events.DeliveryOutcome], login_id: str) -> list[str | None]:
        seen = list[str | None]()
        async for outcome in reader:
            seen.append(outcome.login_id)
            if outcome.login_id == login_id:
                break
        return seen

    first = await one_more()
    async with topics.delivery_outcomes(**options) as reader:
        outcomes = aiter(reader)
        assert first in await until(outcomes, first)
        second = await one_more()
        await until(outcomes, second)
    async with topics.delivery_outcomes(**options) as reader:
        again = await until(aiter(reader), second)
    assert second in again, "what was handed out of a batch that was not finished comes again"
    assert first not in again, "what was finished does not"
