"""`gatepost serve delivery`: one loop for Faust, the sender and the web server."""

import asyncio
import sys
import tempfile
from collections.abc import Callable
from typing import Any

import faust
import uvloop

from services.delivery.app import Beside, build_app, seen
from services.delivery.house import build
from services.delivery.postgres.instance import InstanceTaken
from services.delivery.settings import DeliverySettings
from services.delivery.watchdog import Agents
from services.platform import log, tracing
from services.platform.settings import load_or_exit, worker_number


class Worker(faust.Worker):  # type: ignore[misc]
    """Faust's own stops its consumers first, for seconds, and all else afterwards."""

    def __init__(self, app: faust.App, beside: Beside, leave: Callable[[], None], **more: Any) -> None:
        super().__init__(app, beside, override_logging=False, redirect_stdouts=False, quiet=True, workdir=".", **more)
        self._leave = leave
        self.spinner = None

    def _on_sigterm(self) -> None:
        self._leave()
        super()._on_sigterm()

    def _on_sigint(self) -> None:
        self._leave()
        super()._on_sigint()


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
        with tracing.running("delivery", settings.traces):
            Worker(app, beside, house.leave, loop=loop).execute_from_commandline()


def main() -> None:
    log.configure("delivery", worker=worker_number())
    serve(load_or_exit(DeliverySettings))


if __name__ == "__main__":
    main()
