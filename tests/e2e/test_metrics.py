"""What /metrics of the running services says: Prometheus takes it, it names only what is declared, logins move it."""

import asyncio
import subprocess
from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import pytest
from prometheus_client.parser import text_string_to_metric_families

from deploy.local.stack import SERVICES, Stack
from deploy.local.story import Story
from services.platform.metrics import CLOSED
from tests.integration.gateway_login.world import eventually
from tests.programs import program

ADA, GRACE = "+442079460101", "+442079460102"


class Sample(NamedTuple):
    name: str
    labels: Mapping[str, str]
    value: float


class Moved(NamedTuple):
    service: str
    name: str
    labels: Mapping[str, str]


async def text(story: Story, stack: Stack, service: str) -> str:
    async with story.session.get(f"{stack.environment.url(service)}/metrics") as answer:
        return await answer.text()


async def samples(story: Story, stack: Stack, service: str) -> list[Sample]:
    families = text_string_to_metric_families(await text(story, stack, service))
    return [Sample(one.name, one.labels, one.value) for family in families for one in family.samples]


async def total(story: Story, stack: Stack, service: str, name: str, **labels: str) -> float:
    found = await samples(story, stack, service)
    return sum(s.value for s in found if s.name == name and labels.items() <= s.labels.items())


@pytest.mark.parametrize("service", SERVICES)
async def test_prometheus_takes_what_a_service_shows(story: Story, stack: Stack, service: str):
    shown = await text(story, stack, service)
    assert await asyncio.to_thread(checked, shown) == (0, "")


def checked(shown: str) -> tuple[int, str]:
    tool = program("promtool", "prometheus")
    ran = subprocess.run(
        [tool, "check", "metrics"], input=shown, capture_output=True, text=True, check=False, timeout=60
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("service", SERVICES)
async def test_a_service_names_only_what_is_declared(story: Story, stack: Stack, service: str):
    declared = {metric.name: metric for metric in CLOSED.of(service)}
    for name, labels, _ in await samples(story, stack, service):
        if not name.startswith("gatepost_"):
            assert name.startswith(("process_", "python_")), name
            continue
        ends = ("_bucket", "_count", "_sum")
        metric = (
            declared[name]
            if name in declared
            else declared[next(name.removesuffix(e) for e in ends if name.endswith(e))]
        )
        for label, value in labels.items():
            held = metric.labels.get(label, ())
            assert label == "le" or not isinstance(held, tuple) or value in held, (name, labels)
            assert label == "le" or label in metric.labels, (name, labels)


async def answers_from_memory(story: Story, stack: Stack) -> bool:
    return await total(story, stack, "session-store", "gatepost_session_feed_current") == 1


def more(story: Story, stack: Stack, moved: Moved, was: float) -> Callable[[], Awaitable[bool]]:
    async def asked() -> bool:
        return await total(story, stack, moved.service, moved.name, **moved.labels) > was

    return asked


async def test_a_login_by_sms_moves_what_tells_of_it(story: Story, stack: Stack):
    moved = [
        ("gateway", "gatepost_logins_total", {"result": "code-required"}),
        ("gateway", "gatepost_verifications_total", {"result": "wrong"}),
        ("gateway", "gatepost_verifications_total", {"result": "right"}),
        ("gateway", "gatepost_login_to_verified_seconds_count", {"channel": "sms"}),
        ("gateway", "gatepost_events_published_total", {"topic": "login-challenges"}),
        ("delivery", "gatepost_messages_total", {"channel": "sms"}),
        ("delivery", "gatepost_sends_total", {"channel": "sms", "country": "GB", "result": "sent"}),
        ("delivery", "gatepost_login_to_code_seconds_count", {"channel": "sms"}),
        ("delivery", "gatepost_login_to_call_seconds_count", {"channel": "sms"}),
        ("delivery", "gatepost_receipts_total", {"channel": "sms", "country": "GB", "result": "delivered"}),
        ("delivery", "gatepost_codes_used_total", {"channel": "sms", "country": "GB"}),
        ("session-store", "gatepost_session_checks_total", {"source": "memory"}),
        ("session-store", "gatepost_revocation_lag_seconds_count", {"event": "ExpireAll"}),
    ]
    await eventually(lambda: answers_from_memory(story, stack), what="answering from memory")
    before = [await total(story, stack, service, name, **labels) for service, name, labels in moved]
    since = datetime.now(UTC)
    _, login = await story.sign_in("ada")
    code = await story.code_for(ADA, "sms", since)
    await story.verify(login["login"], f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}")
    _, answer = await story.verify(login["login"], code)
    session = await story.becomes(answer["token"], True)
    path = f"/v1/accounts/{story.account}/users/{session['sub']}/expire-sessions"
    await story.api.expect(200, "gateway", "POST", path)
    for (service, name, labels), was in zip(moved, before, strict=True):
        what = Moved(service, name, labels)
        await eventually(more(story, stack, what, was), what=what)


async def test_an_sms_that_is_refused_is_seen_as_a_fallback_and_not_as_its_providers_fault(story: Story, stack: Stack):
    moved = [
        ("gatepost_sends_total", {"channel": "sms", "result": "wrong-number"}),
        ("gatepost_fallbacks_total", {"reason": "not-a-mobile"}),
        ("gatepost_fallbacks_email_off_total", {"reason": "not-a-mobile"}),
        ("gatepost_sends_total", {"channel": "email", "result": "sent"}),
        ("gatepost_codes_used_total", {"channel": "email"}),
    ]
    before = [await total(story, stack, "delivery", name, **labels) for name, labels in moved]
    await story.fault({"sms": {GRACE: {"mode": "refuse", "code": 21614}}})
    since = datetime.now(UTC)
    _, login = await story.sign_in("grace")
    status, _ = await story.verify(login["login"], await story.code_for("grace@example.com", "email", since))
    assert status == 200
    for (name, labels), was in zip(moved, before, strict=True):
        assert await eventually(more(story, stack, Moved("delivery", name, labels), was)), (name, labels)


async def test_what_is_looked_at_when_somebody_scrapes_has_numbers(story: Story, stack: Stack):
    """In a system that is well: nothing waits for long, the database is there, consumers know how far they are."""
    for service in SERVICES:
        assert await total(story, stack, service, "gatepost_database_up") == 1
        assert 0 <= await total(story, stack, service, "gatepost_outbox_oldest_seconds") < 30
    consumers = {
        "delivery": {("login-challenges", "delivery"), ("session-events", "delivery"), ("dead-letters", "delivery")},
        "gateway": {("delivery-outcomes", "gateway-outcomes")},
        "session-store": {("session-events", "session-store-reader"), ("session-events", "session-store-writer")},
    }
    for service, wanted in consumers.items():
        found = [s for s in await samples(story, stack, service) if s.name == "gatepost_kafka_lag" and s.value >= 0]
        assert wanted <= {(s.labels["topic"], s.labels["consumer"]) for s in found}
    assert await total(story, stack, "session-store", "gatepost_session_feed_current") == 1
    assert 0 <= await total(story, stack, "session-store", "gatepost_session_feed_age_seconds") < 2
    assert await total(story, stack, "delivery", "gatepost_breaker_closed", channel="sms") >= 1
