"""`gatepost serve session-store`."""

import uvloop

from services.platform import log, tracing
from services.platform.serving import serve as serve_http
from services.platform.settings import load_or_exit, worker_number
from services.session_store.app import built
from services.session_store.settings import SessionStoreSettings


async def serve(settings: SessionStoreSettings) -> None:
    """Run until SIGTERM or SIGINT."""
    with tracing.running("session-store", settings.traces):
        async with built(settings) as app:
            await serve_http(app, settings)


def main() -> None:
    log.configure("session-store", worker=worker_number())
    uvloop.run(serve(load_or_exit(SessionStoreSettings)))


if __name__ == "__main__":
    main()
