"""`gatepost serve delivery`: one loop for Faust, the sender and the web server."""

import asyncio
import sys
import tempfile

import faust
import uvloop

from services.delivery.app import Beside, build_app, seen
from services.delivery.house import build
from services.delivery.postgres.instance import InstanceTaken
from services.delivery.settings import DeliverySettings
from services.delivery.watchdog import Agents
from services.platform import log
from services.platform.settings import load_or_exit


def serve(settings: DeliverySettings) -> None:
    """Run until SIGTERM or SIGINT; ends with the exit code of Faust's worker."""
    loop = uvloop.new_event_loop()
    asyncio.set_event_loop(loop)
    try:
        house = loop.run_until_complete(build(settings))
    except InstanceTaken as taken:
        sys.exit(str(taken))
    with tempfile.TemporaryDirectory(prefix="gatepost-delivery-") as datadir:
        agents = Agents()
        app = build_app(settings, house.ingest, datadir, agents)
        beside = Beside(lambda: house.start(agents, lambda: seen(app)), house.stop)
        worker = faust.Worker(
            app, beside, loop=loop, override_logging=False, redirect_stdouts=False, quiet=True, workdir="."
        )
        worker.spinner = None
        worker.execute_from_commandline()


def main() -> None:
    log.configure("delivery")
    serve(load_or_exit(DeliverySettings))


if __name__ == "__main__":
    main()
