"""Users and sessions by the million: rows made here, brought in by COPY, sealed and signed as the services would."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final
from uuid import UUID

import asyncpg

from services.platform.clock import new_id
from services.platform.keys.contacts import Contacts, column_info, mask_email, search_hash
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import Mint, SessionTokens, secret_hash

PASSWORD: Final = "correct horse battery staple"
AT_ONCE: Final = 20_000
USER: Final = [
    *("user_id", "account_id", "username", "username_key", "password_hash"),
    *("phone", "phone_hash", "phone_masked", "phone_country", "email", "email_hash", "email_masked", "sms_on"),
]
SESSION: Final = [
    *("login_id", "account_id", "user_id", "issued_at", "auth_time", "secret_hash", "amr", "acr", "aud", "role"),
    *("claims", "device", "account_epoch", "user_epoch"),
]
AMR: Final = ["pwd", "otp", "sms", "mfa"]
ACR: Final = "urn:gatepost:acr:pwd+sms"


@dataclass(frozen=True, slots=True)
class Person:
    user_id: UUID
    username: str
    phone: str


class Users:
    """Rows of `users`: a phone and an e-mail on file, all with the same password."""

    def __init__(self, rings: Keyrings, account: UUID, password_hash: str, sms: bool = True) -> None:
        self._contacts, self._search = Contacts(rings.secret("contacts")), rings.secret("search")
        self._account, self._hash, self._sms = account, password_hash, sms

    def rows(self, first: int, count: int) -> Iterator[tuple[Person, tuple[Any, ...]]]:
        for number in range(first, first + count):
            person = Person(new_id(), f"user{number}", f"+4479{number:08}")
            email = f"{person.username}@example.com"
            sealed = [self._sealed(person, name, text) for name, text in (("phone", person.phone), ("email", email))]
            phone = (
                sealed[0],
                search_hash(self._search, "phone", person.phone),
                f"+44 •••• ••{person.phone[-2:]}",
                "GB",
            )
            mail = (sealed[1], search_hash(self._search, "email", email), mask_email(email))
            yield (
                person,
                (
                    *(person.user_id, self._account, person.username, person.username, self._hash),
                    *phone,
                    *mail,
                    self._sms,
                ),
            )

    def _sealed(self, person: Person, field: str, text: str) -> bytes:
        return self._contacts.seal(text.encode(), column_info("contacts", "users", person.user_id, field))


class Sessions:
    """Rows of `sessions`, begun over the last 80 days, and the tokens that open them."""

    def __init__(self, rings: Keyrings, account: UUID, users: int, epoch: int) -> None:
        self._mint, self._tokens = Mint(rings.secret("mint")), SessionTokens(rings.secret("session"))
        self._account, self._users, self._epoch = account, users, epoch
        self._now = datetime.now(UTC).replace(microsecond=0)

    def born(self, number: int) -> datetime:
        return self._now - timedelta(seconds=60 + number * 7 % (80 * 86_400))

    def rows(self, first: int, count: int) -> Iterator[tuple[Any, ...]]:
        for number in range(first, first + count):
            born, login_id = self.born(number), self.login_id(number)
            hashed = secret_hash(self._mint.secret(login_id, int(born.timestamp())))
            user = UUID(int=(number % self._users) + (1 << 100))
            yield (
                *(login_id, self._account, user, born, born, hashed, AMR, ACR, "apps", "user", {}, None),
                *(self._epoch, self._epoch),
            )

    @staticmethod
    def login_id(number: int) -> UUID:
        """Spread like real ones, and known without being kept."""
        return UUID(int=(number * 0x9E3779B97F4A7C15F39CC0605CEDC835) % (1 << 128))

    def token(self, login_id: UUID, born: datetime) -> str:
        issued_at = int(born.timestamp())
        return self._tokens.make(login_id, issued_at, self._mint.secret(login_id, issued_at))


async def load(dsn: str, table: str, columns: list[str], batches: AsyncIterator[list[tuple[Any, ...]]]) -> None:
    """COPY, a batch at a time; then the planner is told."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.set_type_codec(
            "jsonb", schema="pg_catalog", format="binary", encoder=lambda _: b"\x01{}", decoder=bytes
        )
        async for rows in batches:
            await connection.copy_records_to_table(table, records=rows, columns=columns, timeout=300)
        await connection.execute(f"VACUUM ANALYZE {table}", timeout=600)
    finally:
        await connection.close()


async def in_batches(total: int, make: Any, told: Any) -> AsyncIterator[list[tuple[Any, ...]]]:
    """`make(first, count)` gives rows; between batches the loop breathes and `told` hears how many there are."""
    for first in range(0, total, AT_ONCE):
        count = min(AT_ONCE, total - first)
        yield list(make(first, count))
        told(first + count)
        await asyncio.sleep(0)
