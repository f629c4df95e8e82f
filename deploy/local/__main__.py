"""`python -m deploy.local up|down|status|logs|reset|demo`: what the Makefile calls."""

import asyncio
import logging
import sys

from rich.console import Console

from deploy.local import background
from deploy.local.paths import Trouble


async def demo() -> None:
    from deploy.local.demo import run

    await run()


COMMANDS = {
    "up": background.up,
    "down": background.down,
    "status": background.status,
    "logs": background.logs,
    "reset": background.reset,
    "supervise": background.supervise,
    "demo": demo,
}


def main() -> None:
    name = sys.argv[1] if len(sys.argv) > 1 else "help"
    if name not in COMMANDS:
        Console().print(f"python -m deploy.local {'|'.join(n for n in COMMANDS if n != 'supervise')}")
        sys.exit(0 if name == "help" else 2)
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    try:
        asyncio.run(COMMANDS[name]())
    except Trouble as trouble:
        Console(stderr=True).print(f"✘ {trouble}", style="red", markup=False, highlight=False)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
