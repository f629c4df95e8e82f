"""Passwords: Argon2id at OWASP's minimum, hashed in a bounded pool of threads."""

import asyncio
import os
import unicodedata
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, NamedTuple, TypeVar

import argon2

from services.login_gateway import foreign_hashes
from services.login_gateway.foreign_hashes import BadHash
from services.platform.http import Problem

__all__ = ["BadHash", "BadPassword", "Checked", "Passwords", "check_hash", "check_new"]

T = TypeVar("T")
SHORTEST: Final = 8
LONGEST: Final = 256
WAITING: Final = 64  # per thread: about two seconds of work, more would only time out
WAITING_FOREIGN: Final = 16
HASHER: Final = argon2.PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)


class BadPassword(ValueError):
    """A password that is not taken; the text says why."""


class Checked(NamedTuple):
    """`rehash`: the password is right and its stored hash is foreign or older than today's parameters."""

    ok: bool
    rehash: bool


class Passwords:
    """Hashes and compares in threads; each of them holds 19 MiB while it works."""

    def __init__(self, threads: int | None = None) -> None:
        self._threads = threads or max(1, os.cpu_count() or 1)
        self._pool = ThreadPoolExecutor(self._threads, thread_name_prefix="password")
        self._foreign = ThreadPoolExecutor(1, thread_name_prefix="foreign-password")
        self._under_way = {self._pool: 0, self._foreign: 0}
        self._hasher = HASHER
        self._nobody = self._hasher.hash(os.urandom(16))

    async def hash(self, password: str) -> str:
        """An Argon2id PHC string."""
        return await self._run(self._pool, lambda: self._hasher.hash(_bytes(password)))

    async def verify(self, stored: str | None, password: str) -> Checked:
        """Compare. A user who does not exist, or has no password (`None`), costs the same as one with our own hash."""
        pool = self._pool if stored is None or self._is_ours(stored) else self._foreign
        return await self._run(pool, lambda: self._verify(stored, password))

    def close(self) -> None:
        for pool in self._under_way:
            pool.shutdown(wait=False, cancel_futures=True)

    def _is_ours(self, stored: str) -> bool:
        """Hashes that a tenant brought wait for each other: they may be slow, and must not keep others waiting."""
        try:
            return stored.startswith("$argon2id$") and not self._hasher.check_needs_rehash(stored)
        except argon2.exceptions.InvalidHashError:
            return False

    def _verify(self, stored: str | None, password: str) -> Checked:
        try:
            known = foreign_hashes.read(stored or self._nobody)
        except BadHash:
            known = foreign_hashes.read(self._nobody)
        same = known.matches(_bytes(password))
        ok = same and stored is not None and len(password) <= LONGEST
        return Checked(ok, ok and self._outdated(known.kind, stored))

    def _outdated(self, kind: str, stored: str | None) -> bool:
        return kind != "argon2" or self._hasher.check_needs_rehash((stored or "").removeprefix("argon2"))

    async def _run(self, pool: ThreadPoolExecutor, work: Callable[[], T]) -> T:
        threads = self._threads if pool is self._pool else 1
        if self._under_way[pool] >= threads * (WAITING if pool is self._pool else WAITING_FOREIGN):
            raise busy()
        self._under_way[pool] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(pool, work)
        finally:
            self._under_way[pool] -= 1


def busy() -> Problem:
    return Problem(503, "busy", "Too many passwords are being checked. Try again.", {"Retry-After": "1"})


def check_hash(text: str) -> None:
    """Whether an imported hash can be used; raises `BadHash` with the reason."""
    foreign_hashes.read(text)


def check_new(password: str, username: str = "") -> None:
    """NIST SP 800-63B-4 §3.1.1.2: length, no rules of composition. Raises `BadPassword` with the reason."""
    if len(password) < SHORTEST:
        raise BadPassword(f"A password has at least {SHORTEST} characters.")
    if len(password) > LONGEST:
        raise BadPassword(f"A password has at most {LONGEST} characters.")
    if len(set(password)) < 4 or password.casefold() == username.casefold():
        raise BadPassword("This password is too easy to guess: not the username, not one sign repeated.")


def _bytes(password: str) -> bytes:
    """The same bytes whichever keyboard composed the accents; never more than a stored password can have."""
    return unicodedata.normalize("NFC", password[: LONGEST + 1]).encode("utf-8", "surrogatepass")
