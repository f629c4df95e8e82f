"""One real system for the whole session: Kafka, Postgres, simulator and the three services, on free ports."""

import logging
import shutil
from collections.abc import AsyncIterator

import hypothesis
import pytest
import pytest_asyncio
from rich.console import Console

from deploy.local import postgres
from deploy.local.paths import STATE
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from tests.secrecy.postgres import keep_wal

# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--system", default="test", help="the folder in .gatepost/ for the running system of this run")


@pytest_asyncio.fixture(scope="session")
async def stack(pytestconfig: pytest.Config) -> AsyncIterator[Stack]:
    """The running system; its logs stay in `.gatepost/<system>/logs` for a look afterwards."""
    folder = STATE / str(pytestconfig.getoption("--system"))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)
    postgres.remove(folder)
    shutil.rmtree(folder, ignore_errors=True)
    capture = pytestconfig.pluginmanager.getplugin("capturemanager")
    started = Stack(folder, free_ports(), Console(stderr=True), {"GATEPOST_GUARD_MODE": "monitor"})
    with capture.global_and_fixture_disabled():
        await started.start()
    await keep_wal(started)
    try:
        yield started
    finally:
        await started.stop()
        started.postgres.remove()
