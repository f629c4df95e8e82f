"""Codes by Amazon SES: from the challenge to the e-mail in the simulator's inbox."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiohttp

from deploy.local.stack import Stack
from deploy.simulator.server import Settings, running
from services.delivery.house import House
from tests.integration.delivery.house import own_house, record, sweeping
from tests.integration.delivery.world import Login, World, until
from tests.integration.simulator.drivers import SID, TOKEN, Inbox
from tests.integration.simulator.ses_driver import KEY_ID, REGION, SES, SES_SECRET


@asynccontextmanager
async def ses_house(stack: Stack, **changed: Any) -> AsyncIterator[tuple[House, Inbox]]:
    """Swept; its e-mails go by SES, unless that says no: then by SMTP where a server is given."""
    async with running(Settings(SID, TOKEN, ses=SES)) as simulator, aiohttp.ClientSession(simulator.http_url) as http:
        settings = {
            "twilio_base_url": simulator.http_url,
            "twilio_account_sid": SID,
            "twilio_auth_token": TOKEN,
            "smtp_port": simulator.smtp_port,
            "ses_region": REGION,
            "ses_access_key_id": KEY_ID,
            "ses_secret_access_key": SES_SECRET,
            "ses_from": "codes@gatepost.example",
            "ses_base_url": simulator.http_url,
        }
        async with own_house(stack, **settings | changed) as house, sweeping(house):
            yield house, Inbox(http)


async def sent(house: House, login: Login) -> dict[str, Any]:
    async def there() -> dict[str, Any] | None:
        query = "SELECT * FROM deliveries WHERE login_id = $1 AND channel = 'email' AND state = 'sent'"
        found = await house.pool.fetchrow(query, login.login_id)
        return dict(found) if found else None

    found: dict[str, Any] = await until(there, 15, "an e-mail that was sent")
    return found


async def test_a_refused_sms_becomes_an_email_by_ses(stack: Stack, world: World):
    login = Login()
    async with ses_house(stack, smtp_host=None) as (house, inbox):
        await inbox.fault("sms", "refuse", to=str(login.phone))
        await house.ingest.challenges([record(world.challenge(login))])
        found = await sent(house, login)
        [mail] = await inbox.messages(to=str(login.email))
    assert (found["provider"], len(found["provider_ref"])) == ("ses", 60)
    assert (mail["code"], mail["provider"]) == (world.code(login, "email"), "ses")
    assert str(mail["code"]) in mail["html"]


async def test_what_ses_refuses_goes_by_the_mail_server(stack: Stack, world: World):
    login = Login()
    async with ses_house(stack) as (house, inbox):
        await house.controls.change_provider("smtp", {"position": 1}, "test")
        await house.refresh()
        await inbox.put({"sms": {"*": {"mode": "refuse"}}, "email": {"ses:*": {"mode": "rate_limit"}}})
        await house.ingest.challenges([record(world.challenge(login))])
        found = await sent(house, login)
        [mail] = await inbox.messages(to=str(login.email))
    assert (found["provider"], found["tries"]) == ("smtp", 2)
    assert mail["code"] == world.code(login, "email")
