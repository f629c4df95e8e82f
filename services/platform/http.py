"""The HTTP edge that all services share: problems (RFC 9457), bodies, health, metrics."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Mapping
from http import HTTPStatus
from typing import Any, Final, TypeVar

import msgspec
import structlog
from aiohttp import ClientConnectionResetError, web
from aiohttp.typedefs import Handler, Middleware
from prometheus_client import CONTENT_TYPE_LATEST

from services.platform import metrics, worker_metrics
from services.platform.bad_bodies import told
from services.platform.keys.keyring import KeyringError
from services.platform.metering import Figures, Measure, Shown
from services.platform.postgres import AWAY
from services.platform.worker import Place

log = structlog.get_logger()

BODY_LIMIT: Final = 64 * 1024
LARGE_BODY_LIMIT: Final = 1024 * 1024
T = TypeVar("T")
Ready = Callable[[], Awaitable[dict[str, Any]]]
OPENAPI: Final = web.AppKey("openapi", dict)
MEASURE: Final = web.AppKey("measure", Measure)
"""What is measured anew whenever somebody reads the metrics."""
BEGUN: Final = web.RequestKey("begun", bool)
READY: Final[web.AppKey[Ready]] = web.AppKey("ready")
PLACE: Final = web.AppKey("place", Place)
"""Where this process is one of several on one port."""
FIGURES: Final[web.AppKey[Figures]] = web.AppKey("figures")
"""This process's own page of metrics."""


class Leaving:
    """Whether this process is on its way out; `tell` is for who holds a connection open and would not notice."""

    def __init__(self) -> None:
        self.begun = False
        self._told: list[Callable[[], None]] = []

    def tell(self, hear: Callable[[], None]) -> None:
        self._told.append(hear)

    def begin(self) -> None:
        self.begun = True
        for hear in self._told:
            hear()


LEAVING: Final = web.AppKey("leaving", Leaving)


class Problem(Exception):
    """An answer that is not a success: `urn:gatepost:<name>`, explained in docs/problems.md."""

    def __init__(
        self, status: int, name: str, detail: str, headers: Mapping[str, str] | None = None, **more: Any
    ) -> None:
        super().__init__(name)
        self.status = status
        self.name = name
        self.detail = detail
        self.headers = dict(headers or {})
        self.more = more

    def response(self) -> web.Response:
        body = {
            "type": f"urn:gatepost:{self.name}",
            "title": self.name.replace("-", " ").capitalize(),
            "status": self.status,
            "detail": self.detail,
            **self.more,
        }
        return web.Response(
            status=self.status,
            body=msgspec.json.encode(body),
            content_type="application/problem+json",
            headers={"Cache-Control": "no-store", **self.headers},
        )


SHOWN: Final[web.AppKey[Callable[[web.Request, Problem], web.Response | None]]] = web.AppKey("shown")
"""How people see a problem; None where a program asked, which gets the document."""


class NotReady(Exception):
    """Raised by a service's readiness check; the text says what is missing."""


def too_many(name: str, detail: str, retry_after: float, **more: Any) -> Problem:
    return Problem(429, name, detail, {"Retry-After": str(max(1, round(retry_after)))}, **more)


def unavailable(name: str = "database-unavailable", detail: str = "The database does not answer.") -> Problem:
    return Problem(503, name, f"{detail} Try again in a second.", {"Retry-After": "1"})


def json_response(data: object, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """msgspec writes structs, instants (RFC 3339) and ids; answers are never cached."""
    return web.Response(
        status=status,
        body=msgspec.json.encode(data),
        content_type="application/json",
        headers={"Cache-Control": "no-store", **(headers or {})},
    )


async def body(request: web.Request, kind: type[T], limit: int = BODY_LIMIT) -> T:
    """The JSON body as `kind`. An unknown field, a wrong type or a bad value is a 400 that names the field."""
    return decoded(await raw_body(request, limit), kind)


async def raw_body(request: web.Request, limit: int = BODY_LIMIT) -> bytes:
    if request.headers.get("Content-Encoding", "identity").lower() != "identity":
        raise Problem(415, "unsupported-encoding", "Send the body as it is, without Content-Encoding.")
    too_large = Problem(413, "body-too-large", f"The body is larger than {limit // 1024} KiB. Send less at a time.")
    if (request.content_length or 0) > limit:
        raise too_large
    data = bytearray()
    async for chunk in request.content.iter_any():
        data += chunk
        if len(data) > limit:
            raise too_large
    return bytes(data)


def decoded(data: bytes, kind: type[T]) -> T:
    if not data.strip():
        raise Problem(400, "bad-request", "The body is empty. Send a JSON object.")
    try:
        return msgspec.json.decode(data, type=kind)
    except msgspec.ValidationError as bad:
        raise Problem(400, "bad-request", f"{told(str(bad), kind)}.") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Problem(400, "bad-request", "The body is not valid JSON.") from None


def query(request: web.Request, kind: type[T]) -> T:
    """The query string as `kind`; a parameter that is not known or given twice is a 400."""
    given = dict(request.query)
    if len(given) != len(request.query):
        raise Problem(400, "bad-request", "A query parameter is given twice.")
    try:
        return msgspec.convert(given, kind, strict=False)
    except msgspec.ValidationError as bad:
        raise Problem(400, "bad-request", f"Query: {told(str(bad), kind)}.") from None


def _check_address(request: web.Request) -> None:
    path, _, query_string = request.raw_path.partition("?")
    if "%00" in path:
        raise Problem(404, "not-found", "There is nothing at this address.")
    if "%00" in query_string:
        raise Problem(400, "bad-request", "No query parameter may hold the character U+0000.")


@web.middleware
async def problems(request: web.Request, handler: Handler) -> web.StreamResponse:
    """Everything that goes wrong becomes a problem document; what we did not expect is a 500 without words."""
    try:
        _check_address(request)
        return await handler(request)
    except Problem as found:
        problem = found
    except web.HTTPNotFound:
        problem = Problem(404, "not-found", "There is nothing at this address.")
    except web.HTTPMethodNotAllowed as bad:
        allowed = ", ".join(sorted(bad.allowed_methods))
        problem = Problem(405, "method-not-allowed", f"Use {allowed}.", {"Allow": allowed})
    except web.HTTPException:
        raise
    except (asyncio.CancelledError, ClientConnectionResetError):
        raise
    except AWAY as away:
        log.warning("database_away", error=type(away).__name__, route=_route(request))
        problem = unavailable()
    except Exception as error:
        log.error("request_failed", exc_info=error, route=_route(request))
        problem = Problem(500, "internal-error", "Something went wrong here; the log has it.")
    structlog.contextvars.bind_contextvars(problem=problem.name)
    return _instead(request, problem)


def _instead(request: web.Request, problem: Problem) -> web.Response:
    """A response under way cannot become another one: its connection is closed, and the client comes again."""
    if request.get(BEGUN) and request.transport is not None:
        request.transport.close()
        raise ConnectionResetError(problem.name)
    show = request.app.get(SHOWN)
    return (show(request, problem) if show is not None else None) or problem.response()


@web.middleware
async def logged(request: web.Request, handler: Handler) -> web.StreamResponse:
    """One line and one measurement for each request; the path's pattern, never its values."""
    structlog.contextvars.clear_contextvars()
    start = time.perf_counter()
    status = 499
    try:
        response = await handler(request)
        status = response.status
        return response
    except web.HTTPException as answer:
        status = answer.status
        raise
    finally:
        spent = time.perf_counter() - start
        route = _route(request)
        metrics.HTTP_SECONDS.labels(route, f"{status // 100}xx").observe(spent)
        if status >= 400 and route not in _QUIET:
            log.info("http", method=request.method, route=route, status=status, ms=round(spent * 1000, 1))


_QUIET: Final = frozenset({"/healthz", "/readyz", "/metrics"})


def _route(request: web.Request) -> str:
    resource = request.match_info.route.resource
    return resource.canonical if resource is not None else "unknown"


async def secure_headers(request: web.Request, response: web.StreamResponse) -> None:
    request[BEGUN] = True
    response.headers.setdefault("X-Content-Type-Options", "nosniff")
    response.headers.setdefault("Referrer-Policy", "no-referrer")
    response.headers.setdefault("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")


def base_app(service: str, ready: Ready, openapi: dict[str, Any], *middlewares: Middleware) -> web.Application:
    """An application with health, readiness, metrics and its OpenAPI document."""
    app = web.Application(middlewares=[logged, problems, *middlewares], client_max_size=LARGE_BODY_LIMIT)
    app.on_response_prepare.append(secure_headers)
    app.on_response_prepare.append(_last_answer)
    app[OPENAPI] = openapi
    app[READY] = ready
    app[LEAVING] = Leaving()
    app[FIGURES] = _figures(app, Shown(metrics.CLOSED, service))

    async def healthz(request: web.Request) -> web.Response:
        return json_response({"status": "ok", "service": service})

    async def readyz(request: web.Request) -> web.Response:
        return await _readiness(service, leaving if app[LEAVING].begun else ready)

    app.router.add_get("/healthz", healthz)
    app.router.add_get("/readyz", readyz)
    app.router.add_get("/metrics", _metrics)
    app.router.add_get("/openapi.json", _openapi)
    return app


async def leaving() -> dict[str, Any]:
    raise NotReady("stopping")


async def is_ready(app: web.Application) -> bool:
    return (await _readiness("", app[READY])).status == HTTPStatus.OK


async def _last_answer(request: web.Request, response: web.StreamResponse) -> None:
    """Of a process that leaves: the client opens another connection, elsewhere."""
    if request.config_dict[LEAVING].begun:
        response.force_close()
        response.headers["Connection"] = "close"


async def _readiness(service: str, ready: Ready) -> web.Response:
    try:
        details = await ready()
    except NotReady as why:
        return json_response({"status": "not-ready", "service": service, "reason": str(why)}, 503, {"Retry-After": "1"})
    except (*AWAY, KeyringError) as error:
        reason = {"status": "not-ready", "service": service, "reason": type(error).__name__}
        return json_response(reason, 503, {"Retry-After": "1"})
    return json_response({"status": "ready", "service": service, **details})


def _figures(app: web.Application, shown: Shown) -> Figures:
    async def page() -> bytes:
        if (measure := app.get(MEASURE)) is not None:
            await measure()
        return shown.text()

    return page


async def _metrics(request: web.Request) -> web.Response:
    place, figures = request.app.get(PLACE), request.app[FIGURES]
    page = await figures() if place is None else await worker_metrics.together(place, figures)
    return web.Response(body=page, headers={"Content-Type": CONTENT_TYPE_LATEST})


async def _openapi(request: web.Request) -> web.Response:
    return json_response(request.app[OPENAPI])
