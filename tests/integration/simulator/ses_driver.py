"""Amazon's own SDK, botocore, its endpoint replaced."""

import asyncio
from functools import cache
from typing import Any, Final

import botocore.session
from botocore.config import Config

from deploy.simulator.ses import SesAccount
from tests.integration.simulator.drivers import MAIL

REGION: Final = "eu-central-1"
KEY_ID: Final = "AKIAIOSFODNN7EXAMPLE"
SES_SECRET: Final = "a secret access key only for tests"
SES: Final = SesAccount(REGION, KEY_ID, SES_SECRET)
FROM: Final = "Gatepost <codes@gatepost.example>"


@cache
def session() -> Any:
    """It reads its description of SES once."""
    return botocore.session.get_session()


def ses(base: str, timeout: float = 5, **changed: Any) -> Any:
    config = Config(retries={"total_max_attempts": 1}, read_timeout=timeout, connect_timeout=timeout)
    given = {"aws_access_key_id": KEY_ID, "aws_secret_access_key": SES_SECRET, "region_name": REGION} | changed
    return session().create_client("sesv2", endpoint_url=base, config=config, **given)


def content(text: str = "Your code is 123456", html: str | None = None, **more: Any) -> dict[str, Any]:
    body = {"Text": {"Data": text}} | ({"Html": {"Data": html}} if html else {})
    return {"Simple": {"Subject": {"Data": "Your code"}, "Body": body} | more}


async def send(client: Any, **more: Any) -> str:
    given = {"FromEmailAddress": FROM, "Destination": {"ToAddresses": [MAIL]}, "Content": content()} | more
    sent = await asyncio.to_thread(client.send_email, **given)
    return str(sent["MessageId"])
