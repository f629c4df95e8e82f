"""The simulator inside the test's own loop, on free ports."""

from collections.abc import AsyncIterator
from pathlib import Path

import aiohttp
import pytest

from deploy.simulator.server import Running, Settings, running
from deploy.simulator.smtp import MailLogin
from tests.integration.simulator.drivers import SID, TOKEN, Callbacks, Inbox, callbacks_served
from tests.integration.simulator.ses_driver import SES
from tests.integration.simulator.vonage_driver import VONAGE, Statuses, statuses_served
from tests.integration.simulator.webhook_driver import WEBHOOK


@pytest.fixture
async def simulator() -> AsyncIterator[Running]:
    async with running(Settings(SID, TOKEN, vonage=VONAGE, ses=SES, webhook=WEBHOOK)) as served:
        yield served


@pytest.fixture
async def inbox(simulator: Running) -> AsyncIterator[Inbox]:
    async with aiohttp.ClientSession(simulator.http_url) as session:
        yield Inbox(session)


@pytest.fixture
async def callbacks() -> AsyncIterator[Callbacks]:
    async with callbacks_served() as served:
        yield served


@pytest.fixture
async def statuses() -> AsyncIterator[Statuses]:
    async with statuses_served() as served:
        yield served


@pytest.fixture
def cert_file(tmp_path: Path) -> Path:
    return tmp_path / "simulator.pem"


@pytest.fixture
async def guarded(cert_file: Path) -> AsyncIterator[Running]:
    """One that wants a login for its mail."""
    async with running(Settings(SID, TOKEN, cert_file=cert_file, mail_login=MailLogin("post", "right"))) as served:
        yield served
