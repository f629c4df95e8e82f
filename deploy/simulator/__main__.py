"""`python -m deploy.simulator`: one process, HTTP and SMTP on 127.0.0.1, until SIGTERM."""

import asyncio
import signal
import sys

from deploy.simulator.server import BadSettings, Settings, running


async def serve(settings: Settings) -> None:
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    async with running(settings) as simulator:
        print(f"inbox {simulator.http_url}, SMTP 127.0.0.1:{simulator.smtp_port}", flush=True)
        await stopping.wait()


def main() -> None:
    try:
        asyncio.run(serve(Settings.from_environment()))
    except (BadSettings, OSError) as wrong:
        sys.exit(f"simulator: {wrong}")


if __name__ == "__main__":
    main()
