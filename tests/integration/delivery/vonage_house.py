"""A delivery whose SMS provider is Vonage: the simulator in this process, webhooks over HTTP, all else real."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from deploy.simulator.server import Settings, running
from services.delivery.house import House
from tests.integration.delivery.house import listening, own_house, sweeping
from tests.integration.simulator.drivers import SID, TOKEN, Inbox
from tests.integration.simulator.vonage_driver import API_KEY, APPLICATION, KEY, SECRET, VONAGE, pem


@asynccontextmanager
async def vonage_house(stack: Stack, twilio: bool = False, **changed: Any) -> AsyncIterator[tuple[House, Inbox]]:
    """Swept, its receipts' address open; and the inbox of its providers. With `twilio` that one too, asked first."""
    port = free_ports().delivery
    async with running(Settings(SID, TOKEN, vonage=VONAGE)) as simulator:
        settings = {
            "vonage_base_url": simulator.http_url,
            "vonage_application_id": APPLICATION,
            "vonage_private_key": pem(KEY),
            "vonage_from": "Gatepost",
            "vonage_api_key": API_KEY,
            "vonage_signature_secret": SECRET,
            "twilio_account_sid": SID if twilio else None,
            "twilio_auth_token": TOKEN,
            "twilio_base_url": simulator.http_url,
            "smtp_port": simulator.smtp_port,
            "receipts_url": f"http://127.0.0.1:{port}",
        }
        async with (
            own_house(stack, **settings | changed) as house,
            aiohttp.ClientSession(simulator.http_url) as session,
        ):
            if twilio:
                await house.controls.change_provider("vonage", {"position": 1}, "test")
                house.routing.update(await house.controls.providers())
            serving = await listening(house, port)
            try:
                async with sweeping(house):
                    yield house, Inbox(session)
            finally:
                await serving.stop()
