"""`gatepost serve gateway`."""

import uvloop

from services.login_gateway.app import built
from services.login_gateway.settings import GatewaySettings
from services.platform import log
from services.platform.http import serve as serve_http
from services.platform.settings import load_or_exit


async def serve(settings: GatewaySettings) -> None:
    """Run until SIGTERM or SIGINT."""
    async with built(settings) as app:
        await serve_http(app, settings.http_host, settings.http_port)


def main() -> None:
    log.configure("gateway")
    uvloop.run(serve(load_or_exit(GatewaySettings)))


if __name__ == "__main__":
    main()
