"""What runs beside the requests, for as long as the process lives."""

import asyncio
import os
import signal
from collections.abc import Coroutine
from typing import Any

import structlog

log = structlog.get_logger()


async def or_stop(name: str, work: Coroutine[Any, Any, None]) -> None:
    """Work that must never end: when it does, the process stops, so that its supervisor and somebody look."""
    try:
        await work
    except asyncio.CancelledError:
        raise
    except Exception as error:
        log.critical("stopped", work=name, exc_info=error)
        os.kill(os.getpid(), signal.SIGTERM)
