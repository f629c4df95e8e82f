"""Delivery's HTTP application."""

from typing import Any

from aiohttp import web

from services.delivery.routes import guard, health, letters, operating, providers, reading, receipts, replays, wordings
from services.delivery.routes.described import DOCUMENT, RECEIPTS
from services.delivery.routes.parts import PARTS, Parts
from services.platform import auth, metrics
from services.platform.http import LEAVING, MEASURE, NotReady, base_app
from services.platform.introspection import Introspection
from services.platform.metering import Measure
from services.platform.ui.docs import pages as docs

STALE_SECONDS = 5.0

HANDLERS = {
    ("GET", "/v1/deliveries"): reading.listed,
    ("GET", "/v1/deliveries/stream"): reading.stream,
    ("GET", "/v1/deliveries/health"): health.health,
    ("POST", "/v1/deliveries/pause"): operating.pause,
    ("POST", "/v1/deliveries/resume"): operating.resume,
    ("GET", "/v1/deliveries/pauses"): operating.pauses,
    ("GET", "/v1/timelines/{login_id}"): reading.timeline,
    ("GET", "/v1/replays"): replays.listed,
    ("POST", "/v1/replays"): replays.create,
    ("GET", "/v1/replays/{replay_id}"): replays.show,
    ("POST", "/v1/replays/{replay_id}/stop"): replays.stop,
    ("GET", "/v1/dead-letters"): letters.listed,
    ("POST", "/v1/dead-letters/replay"): letters.many_again,
    ("POST", "/v1/dead-letters/discard"): letters.discard_many,
    ("GET", "/v1/dead-letters/{letter_id}"): letters.show,
    ("GET", "/v1/dead-letters/{letter_id}/record"): letters.export,
    ("POST", "/v1/dead-letters/{letter_id}/replay"): letters.again,
    ("POST", "/v1/dead-letters/{letter_id}/discard"): letters.discard,
    ("GET", "/v1/providers"): providers.listed,
    ("PATCH", "/v1/providers/{provider}"): providers.change,
    ("GET", "/v1/routes"): providers.routes,
    ("PUT", "/v1/routes"): providers.set_routes,
    ("GET", "/v1/guard"): guard.show,
    ("GET", "/v1/guard/{account}"): guard.settings,
    ("PUT", "/v1/guard/{account}"): guard.change,
    ("DELETE", "/v1/guard/{account}"): guard.take_back,
    ("POST", "/v1/guard/{account}/allow"): guard.allow,
    ("GET", "/v1/wordings/{account}"): wordings.show,
    ("PUT", "/v1/wordings/{account}"): wordings.change,
    ("DELETE", "/v1/wordings/{account}"): wordings.take_back,
    ("POST", "/v1/wordings/{account}/preview"): wordings.preview,
}


def build(parts: Parts) -> web.Application:
    app = base_app("delivery", _ready(parts), DOCUMENT)
    app[PARTS] = parts
    app[MEASURE] = Measure(metrics.CLOSED, metrics.DATABASE_UP, parts.checkup.measure)
    app[auth.CHECK_CLIENT] = parts.directory.check
    introspection = Introspection(parts.settings)
    app[auth.INTROSPECT] = introspection.user
    app.on_cleanup.append(introspection.close)
    app[LEAVING].tell(parts.tail.end)
    for (method, path), handler in HANDLERS.items():
        app.router.add_route(method, path, handler)
    app.router.add_route(*RECEIPTS, receipts.receive)
    docs.add_routes(app)
    return app


def _ready(parts: Parts) -> Any:
    async def ready() -> dict[str, Any]:
        last = parts.sender.last_sweep
        if last is None or parts.clock.monotonic() - last > STALE_SECONDS:
            raise NotReady("the sweeper does not run")
        return {"slots_free": parts.sender.free, "keys": parts.keys()}

    return ready
