"""`python -m tests.secrecy.leaking serve gateway …`: a real gateway that leaks on purpose, one way for each mutant.

A user whose `name` is a mutant's name has their contact leaked that way when they sign in.
"""

import base64
import hashlib
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, Final, NamedTuple

import asyncpg
import structlog
from aiokafka import AIOKafkaProducer

from services.login_gateway import login
from services.login_gateway.house import House
from services.platform import audit, metrics
from services.platform.clock import new_id
from services.platform.kafka import Connection
from services.platform.outbox import OutboxRow

Leak = Callable[[House, Mapping[str, Any], str], Awaitable[None]]
log = structlog.get_logger()


def _pool(house: House) -> "asyncpg.Pool[asyncpg.Record]":
    found: asyncpg.Pool[asyncpg.Record] = house.logins._pool  # type: ignore[attr-defined]
    return found


async def topic(house: House, user: Mapping[str, Any], contact: str) -> None:
    """As a masked contact that somebody forgot to mask."""
    value = b'{"type": "LoginChallenged", "masked": {"sms": "%s"}}' % contact.encode()
    house.outbox.publish_soon([OutboxRow(new_id(), "login-challenges", str(user["user_id"]).encode(), value, {})])


async def packed_topic(house: House, user: Mapping[str, Any], contact: str) -> None:
    """Base64 in a compressed batch, where no look at the file finds it."""
    producer = AIOKafkaProducer(compression_type="gzip", **Connection.of(house.settings).options())
    await producer.start()
    value = b'{"type": "LoginClosed", "note": "%s"}' % base64.b64encode(contact.encode())
    await producer.send_and_wait("login-outcomes", value, key=str(user["user_id"]).encode())
    await producer.stop()


async def record_key(house: House, user: Mapping[str, Any], contact: str) -> None:
    house.outbox.publish_soon([OutboxRow(new_id(), "login-outcomes", contact.encode(), b"{}", {})])


async def table(house: House, user: Mapping[str, Any], contact: str) -> None:
    await audit.record(_pool(house), "mutant", "mutant", user["account_id"], str(user["user_id"]), {"to": contact})


async def packed_table(house: House, user: Mapping[str, Any], contact: str) -> None:
    """In the middle of a value that Postgres compresses: no look at the file finds it."""
    text = "no news " * 400 + contact + " no news" * 400
    await audit.record(_pool(house), "mutant", "mutant", user["account_id"], str(user["user_id"]), {"text": text})


async def undone(house: House, user: Mapping[str, Any], contact: str) -> None:
    """A row that was never committed: only its dead bytes are there."""
    async with _pool(house).acquire() as connection:
        transaction = connection.transaction()
        await transaction.start()
        await audit.record(connection, "mutant", "mutant", user["account_id"], "undone", {"to": contact})
        await transaction.rollback()


async def hashed(house: House, user: Mapping[str, Any], contact: str) -> None:
    """A hash without a key: a list of all phone numbers undoes it in minutes."""
    name = hashlib.sha256(contact.encode()).hexdigest().encode()
    await _pool(house).execute("INSERT INTO counters (name, expires_at) VALUES ($1, now() + interval '1 day')", name)


async def hashed_and_cut(house: House, user: Mapping[str, Any], contact: str) -> None:
    name = hashlib.sha1(contact.encode(), usedforsecurity=False).digest()[:16]
    await _pool(house).execute("INSERT INTO counters (name, expires_at) VALUES ($1, now() + interval '1 day')", name)


async def wal(house: House, user: Mapping[str, Any], contact: str) -> None:
    """In no table: only the log of changes has it."""
    await _pool(house).execute("SELECT pg_logical_emit_message(true, 'mutant', $1::text)", contact)


async def server_log(house: House, user: Mapping[str, Any], contact: str) -> None:
    """A statement that fails with a value in its text."""
    try:
        await _pool(house).execute(f"SELECT '{contact}'::uuid")
    except asyncpg.DataError:
        return


async def log_line(house: House, user: Mapping[str, Any], contact: str) -> None:
    log.info("code_sent", user_id=str(user["user_id"]), to=contact)


async def wide_log_line(house: House, user: Mapping[str, Any], contact: str) -> None:
    sys.stdout.buffer.write(contact.encode("utf-16-le") + b"\n")
    sys.stdout.buffer.flush()


async def log_in_bytes(house: House, user: Mapping[str, Any], contact: str) -> None:
    """As a dump of bytes."""
    log.info("code_sent", sent=f"at 3: {contact.encode().hex()}")


async def address_log(house: House, user: Mapping[str, Any], contact: str) -> None:
    """As part of an address that was logged."""
    log.info("called", url="/v1/users?search=" + "".join(f"%{byte:02X}" for byte in contact.encode()))


async def json_log(house: House, user: Mapping[str, Any], contact: str) -> None:
    sys.stdout.write('{"to": "' + "".join(f"\\u{ord(sign):04x}" for sign in contact) + '"}\n')
    sys.stdout.flush()


async def metric(house: House, user: Mapping[str, Any], contact: str) -> None:
    metrics.LOGINS.labels(contact).inc()


async def nothing(house: House, user: Mapping[str, Any], contact: str) -> None:
    """Leaked at the start already: by an argument, by a variable."""


class Mutant(NamedTuple):
    """`place` is where the scan must find it, `form` as what; `only` means nowhere else."""

    place: str
    form: str
    leak: Leak
    only: bool = False


MUTANTS: Final[dict[str, Mutant]] = {
    "topic": Mutant("kafka/login-challenges/record", "as is", topic),
    "topic-file": Mutant("kafka/login-challenges/file", "as is", topic),
    "base64-in-a-packed-topic": Mutant("kafka/login-outcomes/record", "base64", packed_topic, only=True),
    "record-key": Mutant("kafka/login-outcomes/record", "as is", record_key),
    "table": Mutant("postgres/gateway/audit/row", "as is", table),
    "packed-table": Mutant("postgres/gateway/audit/row", "as is", packed_table, only=True),
    "dead-row": Mutant("postgres/gateway/audit/file", "as is", undone),
    "hash-in-a-table": Mutant("postgres/gateway/counters/row", "sha256 hex", hashed),
    "hash-in-an-index": Mutant("postgres/gateway/counters/file", "sha256 hex", hashed),
    "cut-hash-in-a-table": Mutant("postgres/gateway/counters/row", "sha1 as is", hashed_and_cut),
    "wal": Mutant("postgres/wal", "as is", wal, only=True),
    "postgres-log": Mutant("log/postgres", "as is", server_log, only=True),
    "log": Mutant("log/leaking", "as is", log_line, only=True),
    "utf-16-in-a-log": Mutant("log/leaking", "utf-16", wide_log_line, only=True),
    "hex-in-a-log": Mutant("log/leaking", "hex", log_in_bytes, only=True),
    "url-in-a-log": Mutant("log/leaking", "url", address_log, only=True),
    "json-in-a-log": Mutant("log/leaking", "json", json_log, only=True),
    "metric": Mutant("metrics/leaking", "as is", metric, only=True),
    "command-line": Mutant("process/leaking/cmdline", "as is", nothing, only=True),
    "environment": Mutant("process/leaking/environ", "as is", nothing, only=True),
}


def patch() -> None:
    """Every sign-in that sends a code passes here."""
    real = login.open_challenge

    async def leaking(house: House, user: Mapping[str, Any], *more: Any) -> Any:
        contact = login._contact(house, user, "phone")
        if contact is not None and user["name"] in MUTANTS:
            await MUTANTS[user["name"]].leak(house, user, contact)
        return await real(house, user, *more)

    login.open_challenge = leaking  # type: ignore[assignment]


def main() -> None:
    from services.__main__ import main as gatepost

    patch()
    sys.argv = sys.argv[:3]  # what follows `serve gateway` is a leak
    gatepost()


if __name__ == "__main__":
    main()
