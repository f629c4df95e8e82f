"""`make demo`: a system of its own on free ports, the story played on it, and nothing left running."""

import shutil
import time

import aiohttp
from rich.console import Console

from deploy.local import postgres
from deploy.local.paths import STATE, Trouble
from deploy.local.people import Api, populate
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.local.story import Story, Unexpected, tell


async def run() -> None:
    """Exit 0 when the whole story went as told."""
    start, out = time.monotonic(), Console()
    folder = STATE / "demo"
    postgres.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)
    stack = Stack(folder, free_ports(), out)
    try:
        async with stack:
            await _play(stack, out)
    except Unexpected as bad:
        raise Trouble(f"the story went another way: {bad}\nlogs are in {folder / 'logs'}") from None
    finally:
        postgres.remove(folder)
    out.print(f"[bold green]The story is told[/] [dim]in {time.monotonic() - start:.1f} s; nothing is left running[/]")


async def _play(stack: Stack, out: Console) -> None:
    async with aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=30)) as session:
        api = Api(session, stack.environment.urls(), stack.client())
        account, made = await populate(api)
        inbox = f"http://127.0.0.1:{stack.ports.inbox}"
        people = {person.username: person for person in made}
        keys = stack.environment.keys / "gateway"
        await tell(Story(api, session, inbox, account, people, stack.kafka, keys, out))
