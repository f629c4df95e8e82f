"""HTTP clients for the simulator that a test starts."""

from typing import Any

import aiohttp
import pytest


@pytest.fixture
def client() -> Any:
    return aiohttp.ClientSession
