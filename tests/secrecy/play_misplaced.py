"""Secrets in wrong places: bodies that are none, paths, query strings, headers, and bytes that are no HTTP."""

import asyncio
import json
from collections.abc import Iterator
from typing import Any, Final

import aiohttp

import services.delivery.who
import services.login_gateway.who
import services.session_store.who
from tests.secrecy.play import Cast
from tests.secrecy.play_feed import client

FIELD: Final = "misplaced"
CALLS: Final = {
    "gateway": tuple(services.login_gateway.who.RIGHTS),
    "delivery": (*services.delivery.who.RIGHTS, ("POST", "/v1/receipts/{provider}")),
    "session_store": tuple(services.session_store.who.RIGHTS),
}
HEADERS: Final = (
    ("Cookie", "__Host-gatepost={}"),
    ("Gatepost-Login", "lg_{}"),
    ("Idempotency-Key", "{}"),
    ("If-Match", '"{}"'),
    ("X-Forwarded-For", "{}"),
    ("X-Twilio-Signature", "{}"),
    ("Last-Event-ID", "{}"),
    ("Content-Type", "text/{}"),
    ("Content-Encoding", "{}"),
    ("User-Agent", "{}"),
    ("Referer", "https://{}.example/"),
    ("traceparent", "00-{}-01"),
    ("Expect", "{}"),
    ("Range", "bytes={}"),
)
NO_HTTP: Final = (
    b"GET /%s HTTP/9.9\r\n\r\n",
    b"%s\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\n%s\r\n\r\n",
    b"GET / HTTP/1.1\r\nHost: x\r\nX-Long: %s" + b"x" * 70_000 + b"\r\n\r\n",
    b"POST /v1/logins HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n%s\r\n",
    b'POST /v1/logins HTTP/1.1\r\nHost: x\r\nContent-Length: 900\r\n\r\n{"password": "%s',
    b"GET / HTTP/1.1\r\nHost: %s\r\nContent-Length: %s\r\n\r\n",
)


async def play(cast: Cast) -> None:
    _, platform = await client(cast, "feed")
    internal = {"Authorization": aiohttp.encode_basic_auth(*cast.stack.client("gateway"))}
    cast.own = {"/v1/feed/": platform, "/v1/events": internal}
    for service, calls in CALLS.items():
        for method, pattern in calls:
            if pattern.endswith("/stream"):
                continue  # it would go on for ever
            await _bodies(cast, service, method, pattern)
            await _addresses(cast, service, method, pattern)
        await _headers(cast, service)
        await _no_http(cast, service)
        # Most of what is sent is a body that is none or a path to nothing: few may end at the door already.
        assert cast.answers[service, 400] > 20
        assert cast.answers[service, 401] + cast.answers[service, 403] < cast.answers[service, 400]


async def _bodies(cast: Cast, service: str, method: str, pattern: str) -> None:
    if method == "GET":
        return
    path = _filled(cast, pattern, canary=False)
    for data in _bad_bodies(cast):
        await _asked(cast, service, method, path, data=data, headers={"Content-Type": "application/json"})
    form = {"token": cast.canaries.new(FIELD, "gp_{}"), cast.canaries.new(FIELD): "1"}
    await _asked(cast, service, method, path, data=form)


def _bad_bodies(cast: Cast) -> Iterator[bytes]:
    new = cast.canaries.new
    yield ('{"username": "' + new(FIELD)).encode()
    yield json.dumps({new(FIELD): new(FIELD)}).encode()
    yield json.dumps(new(FIELD)).encode()
    yield json.dumps({"role": new(FIELD), "code": [new(FIELD)], "channel": new(FIELD), "account": 7}).encode()
    yield new(FIELD, '{{"password": "{}", "x": "\\ud800"}}').encode()
    yield b"\xff\xfe" + new(FIELD).encode("utf-16-le")


async def _addresses(cast: Cast, service: str, method: str, pattern: str) -> None:
    """A secret in each part of the path that varies, and in the query."""
    if "{" in pattern:
        await _asked(cast, service, method, _filled(cast, pattern, canary=True))
    query = {name: cast.canaries.new(FIELD) for name in ("search", "cursor", "state", "account", "delivery")}
    for name, value in query.items():
        await _asked(cast, service, method, _filled(cast, pattern, canary=False), params={name: value})
    await _asked(cast, service, method, "/" + cast.canaries.new(FIELD), params={cast.canaries.new(FIELD): "1"})


def _filled(cast: Cast, pattern: str, canary: bool) -> str:
    while "{" in pattern:
        before, _, rest = pattern.partition("{")
        name, _, after = rest.partition("}")
        known = {"account": cast.account, "provider": "twilio"}.get(name, "none")
        pattern = before + (cast.canaries.new(FIELD) if canary else known) + after
    return pattern


async def _headers(cast: Cast, service: str) -> None:
    for name, shape in HEADERS:
        headers = {name: cast.canaries.new(FIELD, shape)}
        for method, path in (("GET", "/v1/check"), ("POST", "/v1/logins"), ("POST", "/v1/receipts/twilio")):
            await _asked(cast, service, method, path, data=b"{}" if method == "POST" else None, headers=headers)


async def _asked(cast: Cast, service: str, method: str, path: str, **options: Any) -> None:
    """Refused or harmless; whatever it is, it is no surprise to the service."""
    async with cast.http.request(
        method, cast.api.urls[service] + path, **_authenticated(cast, path, options)
    ) as answer:
        assert answer.status < 500, (method, path, answer.status)
        cast.answers[service, answer.status] += 1


def _authenticated(cast: Cast, path: str, options: dict[str, Any]) -> dict[str, Any]:
    """As a client who may make this call, so that what is wrong is what we send."""
    own = next((each for start, each in cast.own.items() if path.startswith(start)), cast.credentials)
    return options | {"headers": own | options.get("headers", {})}


async def _no_http(cast: Cast, service: str) -> None:
    port = int(cast.api.urls[service].rpartition(":")[2])
    for shape in NO_HTTP:
        count = shape.count(b"%s")
        canary = cast.canaries.new(FIELD).encode()
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(shape % ((canary,) * count))
        writer.write_eof()
        await asyncio.wait_for(reader.read(), 10)
        writer.close()
