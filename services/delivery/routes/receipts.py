"""`POST /v1/receipts/{provider}`: no client credential, the provider's own signature instead."""

from aiohttp import web

from services.delivery import receipts
from services.delivery.ports import Result
from services.delivery.receipts import Forged, Given
from services.delivery.routes.parts import PARTS, Parts, not_found
from services.platform import metrics
from services.platform.http import Problem, raw_body
from services.platform.keys.tokens import BadToken, ReceiptTokens


async def receive(request: web.Request) -> web.Response:
    parts, provider = request.app[PARTS], request.match_info["provider"]
    reader = parts.readers.get(provider)
    if reader is None:
        raise not_found("There is no such provider.")
    try:
        receipt = reader.read(await _given(request))
        if receipt.result is not None and ReceiptTokens.is_one(receipt.token):
            await _apply(parts, receipt.token, receipt.result)
    except (Forged, BadToken):
        metrics.FORGED.labels("receipt").inc()
        raise Problem(403, "bad-signature", "The receipt is not signed by the provider.") from None
    return web.Response(status=204)


async def _apply(parts: Parts, token: str, result: Result) -> None:
    """A token that is none of ours belongs to somebody else's message on the same account."""
    delivery_id = parts.secrets.receipts.read(token)
    await receipts.receive(parts.ledger, parts.secrets, delivery_id, result)


async def _given(request: web.Request) -> Given:
    return Given(
        query=request.raw_path.partition("?")[2],
        content_type=request.content_type,
        headers=request.headers,
        body=await raw_body(request),
    )
