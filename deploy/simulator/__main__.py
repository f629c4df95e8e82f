"""`python -m deploy.simulator`: one process, HTTP and SMTP on 127.0.0.1, until SIGTERM."""

import asyncio
import os
import signal
from pathlib import Path

from aiohttp import web

from deploy.simulator.app import build_simulator
from deploy.simulator.faults import Faults
from deploy.simulator.smtp import listen
from deploy.simulator.store import Store


async def serve() -> None:
    store, faults = Store(), Faults()
    app = build_simulator(store, faults, os.environ["GATEPOST_SIM_TWILIO_SID"], _token())
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=1.0)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", int(os.environ.get("GATEPOST_SIM_HTTP_PORT", "8025"))).start()
    mail = await listen(store, faults, int(os.environ.get("GATEPOST_SIM_SMTP_PORT", "1025")))
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    await stopping.wait()
    mail.close()
    await runner.cleanup()


def _token() -> str:
    path = os.environ.get("GATEPOST_SIM_TWILIO_TOKEN_FILE")
    return Path(path).read_text().strip() if path else os.environ["GATEPOST_SIM_TWILIO_TOKEN"]


if __name__ == "__main__":
    asyncio.run(serve())
