"""Secrets that nobody plays: the keys themselves, and the contacts of the tests that ran before."""

import base64
import json
from collections.abc import Iterator, Sequence
from contextlib import suppress
from typing import Any

import asyncpg

from deploy.local.stack import Stack
from schemas import codec
from schemas.events import EmailFallbackRequested, LoginChallenged, NoticeRequested
from services.delivery.challenges import bound_of
from services.delivery.intake import BadRecord
from services.login_gateway.user_rows import opened
from services.platform.keys.codes import next_day
from services.platform.keys.contacts import Contacts, open_login
from services.platform.keys.keyring import Keyrings, SealBroken, UnknownKey
from tests.secrecy.needles import Secret

OTHERS = "contact of another test"


def keys(stack: Stack) -> Iterator[Secret]:
    """Every secret key of every keyring file, and the code key that follows; the public ones are public."""
    for path in sorted(stack.environment.keys.glob("*/*.json")):
        if path.name.endswith(".pub.json"):
            continue
        for key in json.loads(path.read_text())["keys"]:
            secret = base64.b64decode(key["secret"])
            yield Secret("key", f"{path.parent.name} {path.stem}", secret)
            if path.stem == "code":
                yield Secret("key", "the next day's code key", next_day(secret))


def files(stack: Stack) -> Iterator[Secret]:
    """What the local system keeps in files: passwords of the databases, the provider's token, its own clients."""
    passwords: dict[str, str] = json.loads((stack.folder / "postgres.json").read_text())["passwords"]
    for role, password in passwords.items():
        yield Secret("database password", role, password)
    yield Secret("provider token", "twilio", (stack.folder / "secrets" / "twilio.token").read_text().strip())
    for path in sorted((stack.folder / "clients").iterdir()):
        yield Secret("client secret", path.name, path.read_text().strip().partition(":")[2])


async def contacts(stack: Stack, records: Sequence[Any], played: Sequence[Secret]) -> list[Secret]:
    """Every contact that anything sealed in this run can be opened to, but those of the play."""
    sealed = Contacts(Keyrings(stack.environment.keys / "gateway").secret("contacts"))
    found = set(_in_events(sealed, records)) | {contact async for contact in _in_rows(sealed, stack)}
    return [Secret(OTHERS, "sealed", contact) for contact in sorted(found - {secret.text for secret in played})]


async def _in_rows(sealed: Contacts, stack: Stack) -> Any:
    connection = await asyncpg.connect(stack.dsn("gateway"))
    try:
        for row in await connection.fetch("SELECT user_id, phone, email FROM users"):
            for name in ("phone", "email"):
                with suppress(SealBroken, UnknownKey):
                    if (contact := opened(sealed, row["user_id"], name, row[name])) is not None:
                        yield contact
    finally:
        await connection.close()


def _in_events(sealed: Contacts, records: Sequence[Any]) -> Iterator[str]:
    for record in records:
        with suppress(codec.BadEvent, BadRecord, SealBroken, UnknownKey, ValueError):
            event = codec.decode_for(record.topic, record.value)
            if isinstance(event, LoginChallenged | NoticeRequested | EmailFallbackRequested):
                inside = open_login(sealed, bound_of(event), event.sealed)
                yield from (contact for contact in (inside.phone, inside.email) if contact)
