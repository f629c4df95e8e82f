"""What holds for every service that a test builds in this process."""

from collections.abc import Iterator

import pytest

from services.login_gateway import passwords
from tests.bench.gateway import cheap


@pytest.fixture(scope="package", autouse=True)
def _passwords_cost_little() -> Iterator[None]:
    """These gateways hash as cheaply as a gateway may; tests/unit and the running ones hash as everybody's do."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(passwords, "HASHER", cheap())
        yield
