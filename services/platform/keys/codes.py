"""One-time codes: derived when they are needed, stored nowhere (HOTP's truncation is not used; see DESIGN 2.1).

The code key is a ratchet: the key of a day is an HMAC of the day before's, so every holder of the file reaches the same
key without a word between them, and an old file key gives no code of the past once the file moved on.
"""

import base64
import hashlib
import hmac
from datetime import UTC, date, datetime, timedelta
from typing import Final
from uuid import UUID

from services.platform.keys.keyring import Key, Ring, UnknownKey, write_ring

GRACE: Final = timedelta(minutes=20)


class RetiredKey(UnknownKey):
    """The code key of an earlier day, over twenty minutes after its day ended."""


class Codes:
    """Derives the code of a login on a channel."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring
        self._days: dict[date, Key] = {}

    def active_id(self, now: datetime) -> int:
        """The id (one byte) of today's key, UTC."""
        return _id_of(now.astimezone(UTC).date())

    def code(self, key_id: int, login_id: UUID, channel: str, salt: bytes, digits: int, now: datetime) -> str:
        """The code, zero-padded to `digits`; raises `RetiredKey` or `UnknownKey`."""
        key = self._key(key_id, now.astimezone(UTC))
        message = login_id.bytes + channel.encode() + b"\x00" + salt
        number = int.from_bytes(hmac.digest(key.secret, message, "sha256"), "big")
        return str(number % 10**digits).zfill(digits)

    def roll(self, now: datetime) -> None:
        """Forget the keys of days that are over, in the file too where it may be written."""
        day = (now.astimezone(UTC) - GRACE).date()
        if date.fromisoformat(self._ring.raw["day"]) >= day:
            return
        key = self._of_day(day)
        self._days = {d: k for d, k in self._days.items() if d >= day}
        secret = base64.b64encode(key.secret).decode()
        raw = {"purpose": "code", "day": day.isoformat(), "keys": [{"id": key.id, "secret": secret, "state": "active"}]}
        try:
            write_ring(self._ring.path, raw)
        except OSError:
            return

    def _key(self, key_id: int, now: datetime) -> Key:
        today = now.date()
        for day in (today, today - timedelta(days=1), today + timedelta(days=1)):
            if _id_of(day) == key_id:
                if day < today and (now - GRACE).date() > day:
                    raise RetiredKey(f"code key {key_id} is retired")
                return self._of_day(day)
        raise RetiredKey(f"code key {key_id} is retired")

    def _of_day(self, day: date) -> Key:
        if day not in self._days:
            self._days[day] = self._derive(day)
        return self._days[day]

    def _derive(self, day: date) -> Key:
        start = date.fromisoformat(self._ring.raw["day"])
        if day < start:
            raise RetiredKey("that day's code key is gone")
        secret = self._ring.active.secret
        for _ in range((day - start).days):
            secret = next_day(secret)
        return Key(_id_of(day), secret)


def next_day(secret: bytes) -> bytes:
    return hmac.digest(secret, b"gatepost code key of the next day", hashlib.sha256)


def matches(given: str, expected: str) -> bool:
    """Constant-time comparison of two codes."""
    return hmac.compare_digest(given.encode(), expected.encode())


def _id_of(day: date) -> int:
    return day.toordinal() % 256
