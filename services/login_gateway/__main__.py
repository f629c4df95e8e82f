"""`gatepost serve gateway`."""

import uvloop

from services.login_gateway.app import built
from services.login_gateway.settings import GatewaySettings
from services.platform import log, tracing
from services.platform.serving import serve as serve_http
from services.platform.settings import load_or_exit, worker_number


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT."""
    with tracing.running("gateway", settings.traces):
        async with built(settings) as app:
            await serve_http(app, settings)


def main() -> None:
    log.configure("gateway", worker=worker_number())
    uvloop.run(serve(load_or_exit(GatewaySettings)))


if __name__ == "__main__":
    main()
