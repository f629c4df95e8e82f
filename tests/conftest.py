"""One real system for the whole session: Kafka, Postgres, simulator and the three services, on free ports."""

import faulthandler
import logging
import os
import shutil
import signal
import sys
from collections.abc import AsyncIterator, Iterator

import hypothesis
import pytest
import pytest_asyncio
from rich.console import Console

from deploy.local import postgres
from deploy.local.paths import STATE
from deploy.local.ports import free_ports
from deploy.local.stack import Stack
from tests.ended import Ended
from tests.secrecy.postgres import keep_wal

# How long an example takes says nothing on a machine that others use too.
hypothesis.settings.register_profile("here", deadline=None)
hypothesis.settings.load_profile("here")

_ended = Ended()


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--system", default="test", help="the folder in .gatepost/ for the running system of this run")


def pytest_configure(config: pytest.Config) -> None:
    """Whoever stops a run by SIGTERM sees where it stood."""
    with config.pluginmanager.getplugin("capturemanager").global_and_fixture_disabled():
        faulthandler.register(signal.SIGTERM, file=os.dup(sys.stderr.fileno()), chain=True)
    config.pluginmanager.register(FailuresAsTheyCome(config), "failures-as-they-come")


class FailuresAsTheyCome:
    """A run that is stopped before its end has told its failures all the same."""

    def __init__(self, config: pytest.Config) -> None:
        self._config = config

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        terminal = self._config.pluginmanager.getplugin("terminalreporter")
        if report.failed and terminal is not None:
            terminal.write_line(f"\nFAILED {report.nodeid} ({report.when})", red=True)
            terminal.write_line(report.longreprtext)


@pytest.fixture(scope="session", autouse=True)
def _works_end_no_run() -> Iterator[None]:
    with _ended.instead_of_a_stop():
        yield


@pytest.fixture(autouse=True)
def _every_work_goes_on() -> Iterator[None]:
    """A work of a service that was built in this process ends only where a test is about that."""
    yield
    told, _ended.told = _ended.told, []
    assert not told, "\n".join(told)


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
