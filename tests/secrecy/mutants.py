"""Runs the gateway that leaks, and signs each mutant in."""

import socket
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp

from deploy.local.people import Api
from deploy.local.processes import Child, Program
from tests.secrecy.leaking import MUTANTS
from tests.secrecy.play import Cast

NAME = "leaking"
PASSWORD = "a mutant's own password"


@asynccontextmanager
async def leaking(cast: Cast) -> AsyncIterator[tuple[Child, str]]:
    """The process and its address; by then every mutant has leaked."""
    contacts = {name: cast.canaries.phone("mutant", name) for name in MUTANTS}
    with socket.create_server(("127.0.0.1", 0)) as held:
        port = held.getsockname()[1]
    environment = cast.stack.environment.of_service("gateway") | {"GATEPOST_HTTP_PORT": str(port)}
    environment["CONTACT"] = contacts["environment"]
    command = [sys.executable, "-m", "tests.secrecy.leaking", "serve", "gateway", "--to", contacts["command-line"]]
    url = f"http://127.0.0.1:{port}"

    async def ready() -> bool:
        async with aiohttp.ClientSession() as session, session.get(f"{url}/readyz") as answer:
            return answer.status == 200

    child = Child(Program(NAME, command, ready, environment), cast.stack.folder / "logs")
    await child.start()
    try:
        for name, contact in contacts.items():
            await _signed_in(cast, url, name, contact)
        yield child, url
    finally:
        await child.stop()


async def _signed_in(cast: Cast, url: str, name: str, contact: str) -> None:
    body = {"username": f"mutant-{name}", "name": name, "password": PASSWORD, "phone": contact}
    await cast.api.expect(201, "gateway", "POST", cast.users(), body | {"two_factor": {"sms": True}})
    there = Api(cast.http, {"gateway": url}, cast.stack.client())
    given = {"account": cast.account, "username": body["username"], "password": PASSWORD}
    await there.expect(202, "gateway", "POST", "/v1/logins", given, authenticated=False)
