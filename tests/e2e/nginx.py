"""nginx as docs/forward-auth.md configures it, before a plain web server that tells what reached it."""

import asyncio
import re
import socket
from asyncio.subprocess import Process, create_subprocess_exec
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from aiohttp import web

from deploy.local.paths import ROOT
from tests.programs import program

FRAME = """
daemon off;
master_process off;
pid {folder}/nginx.pid;
error_log {folder}/error.log info;
events {{}}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
{site}
}}
"""


@dataclass
class Application:
    """Whatever it is asked for, it keeps the headers that it was asked with."""

    port: int = 0
    seen: list[Mapping[str, list[str]]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        names = {name.lower() for name in request.headers}
        self.seen.append({name: request.headers.getall(name) for name in names})
        return web.Response(text=f"the application at {request.path_qs}")


@asynccontextmanager
async def application() -> AsyncIterator[Application]:
    app, server = Application(), web.Application()
    server.router.add_route("*", "/{path:.*}", app.answer)
    runner = web.AppRunner(server, access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, "127.0.0.1", 0)
        await site.start()
        app.port = runner.addresses[0][1]
        yield app
    finally:
        await runner.cleanup()


def documented(**instead: str) -> str:
    """The guide's own configuration, for other addresses; each of them must stand in it."""
    guide = (ROOT / "docs/forward-auth.md").read_text()
    found = re.search(r"```nginx\n(.*?)```", guide, re.DOTALL)
    assert found is not None
    site = re.sub(r"\n +ssl_certificate.*", "", found[1])
    places = {
        "listen 443 ssl": "listen",
        "server 127.0.0.1:8082": "sessions",
        "http://127.0.0.1:9000": "app",
        "0197a0b0-0000-7000-8000-000000000000": "account",
        "https://login.example.com": "sign_in",
    }
    for text, name in places.items():
        assert text in site, f"the guide does not say {text}"
        site = site.replace(text, instead[name])
    return site


@asynccontextmanager
async def nginx(folder: Path, port: int, site: str) -> AsyncIterator[str]:
    """Its address, while it runs."""
    binary = program("nginx", "nginx-light")
    configuration = folder / "nginx.conf"
    configuration.write_text(FRAME.format(folder=folder, site=site))
    errors = str(folder / "error.log")
    process = await create_subprocess_exec(binary, "-p", str(folder), "-e", errors, "-c", str(configuration))
    try:
        await _listens(port, process)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        await process.wait()


async def _listens(port: int, process: Process) -> None:
    while True:
        assert process.returncode is None, "nginx did not start; its words are in error.log"
        try:
            _, writer = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            await asyncio.sleep(0.02)
        else:
            writer.close()
            return


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
