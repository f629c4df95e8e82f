"""What each service says of itself is what it answers to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from aiohttp import web

from deploy.local.stack import Stack
from deploy.local.story import Story
from services.delivery import house
from services.delivery.settings import DeliverySettings
from services.login_gateway import app as gateway
from services.login_gateway.settings import GatewaySettings
from services.platform.http import OPENAPI
from services.platform.settings import load
from services.session_store import app as session_store
from services.session_store.settings import SessionStoreSettings

SERVICES = ("gateway", "delivery", "session-store")
PAGES = ("/login", "/account", "/operations", "/docs")  # for people, not described to programs


@asynccontextmanager
async def application(service: str) -> AsyncIterator[web.Application]:
    """The service as its own `__main__` builds it, beside the one that runs."""
    match service:
        case "gateway":
            async with gateway.built(load(GatewaySettings)) as app:
                yield app
        case "session-store":
            async with session_store.built(load(SessionStoreSettings)) as app:
                yield app
        case _:
            built = await house.build(load(DeliverySettings))
            yield built.site
            await built.stop()


@pytest.mark.parametrize("service", SERVICES)
async def test_routes_and_description_name_the_same_calls(stack: Stack, service: str, monkeypatch: pytest.MonkeyPatch):
    for name, value in stack.environment.of_service(service).items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("GATEPOST_INSTANCE_ID", raising=False)
    async with application(service) as app:
        await asyncio.sleep(0)  # what runs beside it has begun
        routes = [route for route in app.router.routes() if route.resource and route.method != "HEAD"]
        found = {(route.method, route.resource.canonical) for route in routes if route.resource}
        assert {call for call in found if not call[1].startswith(PAGES)} == documented(app[OPENAPI])


def documented(document: dict[str, dict[str, dict[str, object]]]) -> set[tuple[str, str]]:
    return {(method.upper(), path) for path, calls in document["paths"].items() for method in calls}


async def test_no_path_belongs_to_two_services(stack: Stack, story: Story):
    seen: dict[str, str] = {}
    for service in SERVICES:
        for _, path in documented(await described(story, stack.environment.url(service))):
            if path.startswith(("/v1/", "/.well-known/")):
                assert seen.setdefault(path, service) == service


async def described(story: Story, base: str) -> dict[str, dict[str, dict[str, object]]]:
    async with story.session.get(f"{base}/openapi.json") as answer:
        found: dict[str, dict[str, dict[str, object]]] = await answer.json()
        return found


@pytest.mark.parametrize("service", SERVICES)
async def test_every_described_call_answers(stack: Stack, story: Story, service: str):
    """A true login and provider stand in the paths; what is guarded says 401 before it looks for anything else."""
    _, login = await story.sign_in("edsger")
    names = {"login": login["login"], "provider": "twilio"}
    base = stack.environment.url(service)
    document = await described(story, base)
    for method, path in sorted(documented(document)):
        operation = document["paths"][path][method.lower()]
        address = base + path.format_map(Filled(names))
        async with story.session.request(
            method, address, json={} if method in ("POST", "PUT", "PATCH") else None
        ) as it:
            guarded = bool(operation["security"])  # type: ignore[index]
            assert it.status == 401 if guarded else it.status not in (404, 405), (method, path, it.status)


class Filled(dict[str, str]):
    def __missing__(self, name: str) -> str:
        return "none"
