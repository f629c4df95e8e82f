"""`GET /v1/deliveries/health`: is anybody waiting, and does it work."""

from aiohttp import web

from services.delivery.routes.parts import PARTS, caller
from services.platform.http import json_response


async def health(request: web.Request) -> web.Response:
    await caller(request)
    return json_response(await request.app[PARTS].checkup.health())
