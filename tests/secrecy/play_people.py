"""Canaries through what administrators do with users: edits, passwords, names that are taken, imports."""

import json
from datetime import UTC, datetime
from typing import Any

import aiohttp

from tests.secrecy.play import PATIENCE, Cast, member, person


async def edited(cast: Cast, who: dict[str, Any]) -> None:
    """Every field replaced; both old and new contact are told; then names that are taken, a password, the end."""
    fresh = person(cast.canaries)
    new_password = {"password": fresh.pop("password")}
    path, before = cast.users(who["user_id"]), datetime.now(UTC)
    await cast.api.expect(200, "gateway", "PATCH", path, fresh | {"force_login": True})
    for channel, name in (("sms", "phone"), ("email", "email")):
        for whose in (who, fresh):
            await _told(cast, whose[name], channel, before)
    await cast.api.expect(200, "gateway", "POST", f"{path}/password", new_password)
    await cast.api.expect(200, "gateway", "GET", f"{cast.users()}?search={cast.canaries.new('search')}")
    await cast.api.expect(200, "gateway", "GET", cast.users(), params={"search": fresh["phone"]})
    await taken(cast, fresh)
    await cast.api.expect(200, "gateway", "POST", f"{path}/expire-sessions")
    await cast.api.expect(200, "gateway", "DELETE", path)


async def put(cast: Cast) -> None:
    """Made and replaced by the platform's own id."""
    external_id = cast.canaries.new("external id", "cy-ext-{}")
    for status in (201, 200):
        body = person(cast.canaries, external_id=external_id)
        await cast.api.expect(status, "gateway", "PUT", cast.users("external", external_id), body)


async def taken(cast: Cast, who: dict[str, Any]) -> None:
    """What is refused because somebody has it already, made and edited."""
    for name in ("username", "external_id"):
        body = person(cast.canaries, **{name: who[name]})
        await cast.api.expect(409, "gateway", "POST", cast.users(), body)
        other = await member(cast)
        await cast.api.expect(409, "gateway", "PATCH", cast.users(other["user_id"]), {name: who[name]})


async def _told(cast: Cast, to: str, channel: str, after: datetime) -> None:
    inbox = f"http://127.0.0.1:{cast.stack.ports.inbox}"
    wanted = {"to": to, "channel": channel, "after": after.isoformat(), "wait": str(PATIENCE)}
    async with cast.http.get(f"{inbox}/messages", params=wanted) as answer:
        assert (await answer.json())["messages"], channel


async def imported(cast: Cast) -> None:
    """Good lines and every kind of bad line."""
    new = cast.canaries.new
    lines = [
        json.dumps(person(cast.canaries)),
        json.dumps(person(cast.canaries), ensure_ascii=False),
        '{"username": "' + new("misplaced") + '", "pass',
        json.dumps({"username": "cy-role", "role": new("misplaced")}),
        json.dumps({"username": "cy-unknown", new("misplaced"): 1}),
        json.dumps({"username": "cy-phone", "phone": new("misplaced")}),
        json.dumps({"username": "cy-mail", "email": new("misplaced", "{}@@example")}),
        json.dumps({"username": "cy-hash", "password_hash": new("misplaced", "$2b$99${}")}),
        json.dumps({"username": "cy-short", "password": new("misplaced", "{}\x07")[:7]}),
        json.dumps({"username": new("misplaced", "{}") * 40}),
        json.dumps({"username": "cy-claims", "claims": {new("misplaced"): "x" * 2000}}),
        json.dumps({"username": "cy-ext", "external_id": new("misplaced", "{}@example.com")}),
    ]
    path = f"{cast.api.urls['gateway']}/v1/accounts/{cast.account}/imports"
    auth = {"Authorization": aiohttp.encode_basic_auth(*cast.stack.client())}
    async with cast.http.post(path, data="\n".join(lines).encode(), headers=auth) as answer:
        results = [json.loads(line)["status"] for line in (await answer.text()).splitlines()]
    assert results == ["created", "created", *["failed"] * (len(lines) - 2)]
