"""The scan comes last: it reads what the whole run wrote."""

from pathlib import Path

import pytest

LAST = Path(__file__).parent / "test_secrecy.py"


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.path == LAST)
