"""The running system with traces on, and a collector that takes them, refuses them, is silent or is not there."""

import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest_asyncio

from deploy.local.people import Api
from deploy.local.stack import SERVICES, Stack
from deploy.local.story import Story
from services.platform.tracing import root_of
from tests.e2e.collector import Collector, Seen
from tests.e2e.test_feed import item, platform, user
from tests.e2e.test_metrics import total
from tests.feeding import Writer, producing
from tests.integration.gateway_login.world import eventually
from tests.secrecy import known, play
from tests.secrecy.canaries import Canaries
from tests.secrecy.needles import Search, Secret
from tests.secrecy.play import Cast

__all__ = ["platform"]

CALLERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
LIBRARY = "google/_upb"
"""What OpenTelemetry's messages are written with, as the system shows it of a process that has loaded it."""


@dataclass
class Traced:
    """The stack's services, telling `collector`; `door` is what makes that listen."""

    story: Story
    stack: Stack
    collector: Collector
    door: AsyncExitStack

    async def by_code(self, **headers: str) -> str:
        """Signed in by SMS; gives the login's id."""
        since, person = datetime.now(UTC), self.story.people["ada"]
        body = {"account": self.story.account, "username": person.username, "password": person.password}
        call = ("gateway", "POST", "/v1/logins", body)
        login = await self.story.api.expect(202, *call, authenticated=False, headers=headers)
        code = await self.story.code_for("+442079460101", "sms", since)
        status, answer = await self.story.verify(login["login"], code)
        assert status == 200, answer
        await self.story.becomes(answer["token"], True)
        return str(login["login_id"])

    async def plainly(self) -> str:
        """Signed in without a code."""
        status, answer = await self.story.sign_in("linus")
        assert status == 200, answer
        await self.story.becomes(answer["token"], True)
        return str(answer["login_id"])


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def traced(story: Story, stack: Stack) -> AsyncIterator[Traced]:
    usual = [stack.service(name) for name in SERVICES]
    collector = Collector()
    async with AsyncExitStack() as door:
        await door.enter_async_context(collector.listening())
        more = {
            "GATEPOST_TRACES": "1",
            "GATEPOST_LOGINS_PER_HOUR": "100",
            "GATEPOST_SENDS_PER_HOUR": "100",
            "GATEPOST_SENDS_PER_DAY": "100",
            "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collector.port}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
            "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        }
        await stack.run(*(replace(each, environment={**each.environment, **more}) for each in usual))
        try:
            yield Traced(story, stack, collector, door)
        finally:
            left = [each for each in usual if "GATEPOST_TRACES" in stack.child(each.name).program.environment]
            await stack.run(*left)


async def by_fallback(cast: Cast) -> dict[str, Any]:
    """The SMS is refused, the e-mail's code is typed wrong and then right; every field holds a canary."""
    await play.open_account(cast)
    who = await play.member(cast, two_factor={"sms": True, "email": False})
    await cast.fault("sms", who["phone"], "refuse", code=21614)
    login = await play.sign_in(cast, who)
    code = await cast.code(who["email"], "email")
    await play._wrong_codes(cast, login["login"], 1)
    await play.verified(cast, login, code)
    return {"login_id": str(login["login_id"])}


async def test_a_login_by_fallback_is_one_tree_of_three_services_and_says_nothing_of_its_person(traced: Traced):
    stack, canaries, before = traced.stack, Canaries(), time.time_ns()
    cast = Cast(stack, traced.story.session, traced.story.api, canaries)
    login = await by_fallback(cast)
    published = ["publish"] * 5
    wanted = ("login", *published, "take", "take", "send", "send", "verify", "verify", "session")
    spans = await traced.collector.trace(login["login_id"], *wanted)

    assert Counter(span.name for span in spans) == Counter(wanted)
    is_one_tree(spans, login["login_id"], before)
    told = {(s.service, s.name, s.about.get("channel") or s.about.get("topic"), s.about.get("result")) for s in spans}
    assert told == {
        ("gateway", "login", None, "code-required"),
        ("gateway", "publish", "login-challenges", None),
        ("delivery", "take", "login-challenges", None),
        ("delivery", "send", "sms", "wrong-number"),
        ("delivery", "publish", "email-fallbacks", None),
        ("delivery", "publish", "delivery-outcomes", None),
        ("delivery", "take", "email-fallbacks", None),
        ("delivery", "send", "email", "sent"),
        ("gateway", "verify", None, "wrong"),
        ("gateway", "verify", "email", "right"),
        ("gateway", "publish", "session-events", None),
        ("session-store", "session", None, None),
    }
    assert [(s.about["channel"], s.error) for s in spans if s.error is not None] == [("sms", "not-a-mobile")]
    in_their_order(spans)
    await says_nothing(traced, canaries.secrets, login["login_id"])


def is_one_tree(spans: list[Seen], login_id: str, before: int) -> None:
    roots = [span for span in spans if not span.parent]
    assert [root.name for root in roots] == ["login"]
    assert roots[0].id == root_of(spans[0].trace).to_bytes(8, "big")
    assert {span.parent for span in spans if span.parent} == {roots[0].id}
    assert len({span.id for span in spans}) == len(spans)
    assert all(before <= span.began <= span.ended <= time.time_ns() for span in spans)
    assert {span.about["login_id"] for span in spans} == {login_id}


def in_their_order(spans: list[Seen]) -> None:
    """Each began after what it needs had begun, and the calls lasted as long as they took."""

    def first(name: str, **about: str) -> Seen:
        return next(s for s in spans if s.name == name and about.items() <= s.about.items())

    chain = [
        first("login"),
        first("publish", topic="login-challenges"),
        first("take", topic="login-challenges"),
        first("send", channel="sms"),
        first("publish", topic="email-fallbacks"),
        first("take", topic="email-fallbacks"),
        first("send", channel="email"),
        first("verify", result="wrong"),
        first("verify", result="right"),
        first("publish", topic="session-events"),
        first("session"),
    ]
    assert all(one.began <= next_.began for one, next_ in pairwise(chain)), [(s.name, s.began) for s in chain]
    assert first("send", channel="sms").ended <= first("publish", topic="email-fallbacks").began


async def says_nothing(traced: Traced, secrets_: list[Secret], login_id: str) -> None:
    """All that was sent, resources and names included. That the search sees these bytes, the login's own id shows."""
    assert {"phone", "email", "username", "code", "wrong code", "token", "handle", "password"} <= {
        secret.field for secret in secrets_
    }
    control = Secret("control", "login_id", login_id)
    search = Search([*secrets_, *known.keys(traced.stack), *known.files(traced.stack), control])
    found = {hit.secret for body in traced.collector.bodies for hit in search(body)}
    assert found == {control}


async def test_whose_trace_a_call_came_from_is_a_link_and_chooses_no_id(traced: Traced):
    login_id = await traced.by_code(traceparent=CALLERS, tracestate="who=somebody@example.com")
    spans = await traced.collector.trace(login_id, "login", "take", "send", "verify", "session")
    links = {span.name: span.links for span in spans if span.links}
    assert links == {"login": (("4bf92f3577b34da6a3ce929d0e0e4736", "00f067aa0ba902b7"),)}
    is_one_tree(spans, login_id, 0)
    assert not any(b"somebody" in body for body in traced.collector.bodies)


async def test_fed_logins_have_their_traces_by_whichever_road(traced: Traced, platform: Api):
    person = await user(traced.story)
    by_http, by_topic = item(person), item(person)
    answer = await platform.expect(200, "gateway", "POST", "/v1/feed/logins", {"logins": [by_http]})
    roads = {"feed-http": answer["logins"][0]["login_id"]}
    client = await traced.story.api.expect(201, "gateway", "POST", "/v1/clients", feeder(traced.story))
    async with producing(traced.stack.kafka) as producer:
        await Writer(producer, traced.story.account, client["client_id"], client["client_secret"]).feed(by_topic)
    roads["feed-topic"] = await eventually(lambda: opened(platform, by_topic["reference"]))
    for road, login_id in roads.items():
        spans = await traced.collector.trace(login_id, "login", "publish", "session")
        is_one_tree(spans, login_id, 0)
        assert [(s.about["road"], s.about["result"]) for s in spans if s.name == "login"] == [(road, "signed-in")]


async def test_what_is_no_login_has_no_trace(traced: Traced):
    """A session's end; and the sign-in by fallback was told by a notice, which names itself as if it were a login."""
    status, answer = await traced.story.sign_in("linus")
    assert status == 200
    await traced.story.becomes(answer["token"], True)
    await traced.story.api.expect(200, "session_store", "POST", "/v1/revoke", data={"token": answer["token"]})
    await traced.collector.trace(await traced.plainly(), "login", "publish", "session")
    ended = traced.collector.of(UUID(answer["login_id"]))
    assert sorted(span.name for span in ended) == ["login", "publish", "session"]
    whole = {span.trace for span in traced.collector.spans if span.name == "login"}
    assert [span for span in traced.collector.spans if span.trace not in whole] == []
    assert len(whole) == 6


def feeder(story: Story) -> dict[str, Any]:
    return {"scopes": ["feed"], "account": story.account, "name": "feeder"}


async def opened(platform: Api, reference: str) -> str | None:
    """The id of the login that was fed with this reference, once there is one."""
    status, answer = await platform.call("gateway", "GET", f"/v1/feed/logins/{reference}")
    return str(answer["login_id"]) if status == 200 else None


async def test_a_collector_that_is_silent_refuses_or_is_away_keeps_nobody_from_signing_in(traced: Traced):
    collector, lost = traced.collector, "gatepost_spans_total"
    await collector.answer(None)
    await traced.plainly()
    await collector.held()
    await traced.by_code()  # while a call of the gateway to the collector is not answered
    assert collector.waiting > 0
    await collector.answer(400)
    was = await total(traced.story, traced.stack, "gateway", lost, result="lost")
    await traced.plainly()
    await eventually(lambda: more_than(traced, lost, was))
    await traced.door.aclose()
    was = await total(traced.story, traced.stack, "gateway", lost, result="lost")
    await traced.by_code()
    await eventually(lambda: more_than(traced, lost, was))
    await traced.door.enter_async_context(collector.listening())
    await collector.answer(200)
    await collector.trace(await traced.plainly(), "login", "publish", "session")


async def more_than(traced: Traced, name: str, was: float) -> bool:
    return await total(traced.story, traced.stack, "gateway", name, result="lost") > was


async def test_a_stop_sends_what_was_told_and_a_gateway_without_traces_tells_nothing(traced: Traced):
    stack, collector = traced.stack, traced.collector
    assert LIBRARY in maps(stack)
    status, last = await traced.story.sign_in("linus")
    assert status == 200
    await stack.run(stack.service("gateway"))
    assert LIBRARY not in maps(stack)
    assert "login" in {span.name for span in collector.of(UUID(last["login_id"]))}
    untold = await traced.plainly()
    spans = await collector.trace(untold, "session")
    assert {span.service for span in spans} == {"session-store"}


def maps(stack: Stack) -> str:
    return Path(f"/proc/{stack.child('gateway').pid}/maps").read_text()
