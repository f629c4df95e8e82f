"""Services that tests build inside pytest: a work that ends there must fail a test, and not stop the whole run."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from services.platform import work

STOP_THIS_PROCESS: Final = work.stop_this_process


class Ended:
    """The traces of the works that ended."""

    def __init__(self) -> None:
        self.told: list[str] = []

    @contextmanager
    def instead_of_a_stop(self) -> Iterator[None]:
        work.stop_this_process = lambda: self.told.append(traceback.format_exc())
        try:
            yield
        finally:
            work.stop_this_process = STOP_THIS_PROCESS
