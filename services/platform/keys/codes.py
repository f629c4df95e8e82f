"""One-time codes: derived when they are needed, stored nowhere (HOTP's truncation is not used).

The code key is a ratchet: the key of a day is an HMAC of the day before's, so every holder of the file reaches the same
key without a word between them, and an old file key gives no code of the past once the file moved on.
"""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import Awaitable, Callable
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

import structlog

from services.platform.clock import Clock
from services.platform.keys.keyring import Key, KeyringError, Ring, UnknownKey, write_ring

log = structlog.get_logger()

GRACE: Final = timedelta(minutes=20)
ROLL_SECONDS: Final = 60.0


class RetiredKey(UnknownKey):
    """The code key of an earlier day, over twenty minutes after its day ended."""


class Codes:
    """Derives the code of a login on a channel."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._days: dict[date, Key] = {}

    def active_id(self, now: datetime) -> int:
        """The id (one byte) of today's key, UTC."""
        return id_of(now.astimezone(UTC).date())

    def code(self, key_id: int, login_id: UUID, channel: str, salt: bytes, digits: int, now: datetime) -> str:
        """The code, zero-padded to `digits`; raises `RetiredKey` or `UnknownKey`."""
        key = self._key(key_id, now.astimezone(UTC))
        message = login_id.bytes + channel.encode() + b"\x00" + salt
        number = int.from_bytes(hmac.digest(key.secret, message, "sha256"), "big")
        return str(number % 10**digits).zfill(digits)

    def roll(self, now: datetime) -> bool:
        """Forget the keys of days that are over, in the file too; whether the file moved. Raises `OSError`."""
        day = first_day(now)
        self._days = {d: k for d, k in self._days.items() if d >= day}
        start, _ = self._first()
        if start >= day:
            return False
        key = self._of_day(day)
        secret = base64.b64encode(key.secret).decode()
        raw = {"purpose": "code", "day": day.isoformat(), "keys": [{"id": key.id, "secret": secret, "state": "active"}]}
        write_ring(self._ring.path, raw)
        return True

    def _key(self, key_id: int, now: datetime) -> Key:
        today = now.date()
        for day in (today, today - timedelta(days=1), today + timedelta(days=1)):
            if id_of(day) == key_id:
                if day < today and (now - GRACE).date() > day:
                    raise RetiredKey(f"code key {key_id} is retired")
                return self._of_day(day)
        raise RetiredKey(f"code key {key_id} is retired")

    def _of_day(self, day: date) -> Key:
        if day not in self._days:
            self._days[day] = self._derive(day)
        return self._days[day]

    def _derive(self, day: date) -> Key:
        start, secret = self._first()
        if day < start:
            raise RetiredKey("that day's code key is gone")
        for _ in range((day - start).days):
            secret = next_day(secret)
        return Key(id_of(day), secret)

    def _first(self) -> tuple[date, bytes]:
        """The day of the file and its key. The key first: asking for it may read a file that moved on meanwhile."""
        secret = self._ring.active.secret
        return date.fromisoformat(self._ring.raw["day"]), secret


async def roll_daily(
    codes: Codes,
    clock: Clock,
    seconds: float = ROLL_SECONDS,
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Move the file on for ever, each service its own. A day's key goes twenty minutes after its end, so a service
    that is a step ahead still knows every key that the other one works with.
    """
    told = False
    while True:
        try:
            if codes.roll(clock.now()):
                log.info("code_key_rolled")
            told = False
        except (OSError, KeyringError) as failed:
            if not told:
                log.warning("code_key_not_rolled", error=type(failed).__name__)
            told = True
        await pause(seconds)


def next_day(secret: bytes) -> bytes:
    return hmac.digest(secret, b"gatepost code key of the next day", hashlib.sha256)


def matches(given: str, expected: str) -> bool:
    """Constant-time comparison of two codes."""
    return hmac.compare_digest(given.encode(), expected.encode())


def first_day(now: datetime) -> date:
    """The earliest day whose key is kept: a service whose clock is behind, or a login of last night, needs it."""
    return (now.astimezone(UTC) - GRACE).date()


def id_of(day: date) -> int:
    return day.toordinal() % 256
