"""`POST /v1/receipts/{provider}`: no client credential, the provider's own signature instead."""

from urllib.parse import parse_qsl
from uuid import UUID

from aiohttp import web

from services.delivery import receipts
from services.delivery.channels import twilio_receipts
from services.delivery.routes.parts import PARTS, not_found
from services.delivery.settings import DeliverySettings
from services.platform import metrics
from services.platform.http import Problem, raw_body


async def receive(request: web.Request) -> web.Response:
    parts = request.app[PARTS]
    token = parts.settings.twilio_auth_token
    if request.match_info["provider"] != "twilio" or token is None:
        raise not_found("There is no such provider.")
    form = parse_qsl((await raw_body(request)).decode(errors="replace"), keep_blank_values=True)
    given = request.headers.get("X-Twilio-Signature", "")
    if not twilio_receipts.genuine(token.get_secret_value(), _url(parts.settings, request), form, given):
        metrics.FORGED.labels("receipt").inc()
        raise Problem(403, "bad-signature", "The receipt is not signed by the provider.")
    fields = dict(form)
    result = twilio_receipts.result_of(fields.get("MessageStatus", ""), fields.get("ErrorCode"))
    if result is not None:
        await receipts.receive(parts.ledger, parts.secrets, _delivery(request), result)
    return web.Response(status=204)


def _url(settings: DeliverySettings, request: web.Request) -> str:
    """The address that the provider was given: it signed that one."""
    return f"{(settings.receipts_url or settings.public_url).rstrip('/')}{request.path_qs}"


def _delivery(request: web.Request) -> UUID:
    try:
        return UUID(request.query.get("delivery", ""))
    except ValueError:
        raise not_found("The receipt names no delivery.") from None
