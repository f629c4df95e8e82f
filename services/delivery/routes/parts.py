"""What the routes stand on, and the one way in: `caller` authenticates and checks the who table."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import asyncpg
from aiohttp import web

from services.delivery.compose import Secrets
from services.delivery.dead_letters import Taker
from services.delivery.deliveries import account_of
from services.delivery.figures import Charts
from services.delivery.gate import Gate
from services.delivery.health import Checkup
from services.delivery.postgres.controls import PostgresControls
from services.delivery.postgres.guarding import PostgresGuarding
from services.delivery.postgres.ledger import PostgresLedger
from services.delivery.postgres.letters import PostgresLetters
from services.delivery.postgres.reading import PostgresReading
from services.delivery.postgres.replays import PostgresReplays
from services.delivery.postgres.wordings import PostgresWordings
from services.delivery.prefixes import COUNTRIES
from services.delivery.receipts import Reader
from services.delivery.replay import Limits
from services.delivery.replaying import Replayer
from services.delivery.routing import Routing
from services.delivery.send import Sender
from services.delivery.settings import DeliverySettings
from services.delivery.tail import Tail
from services.delivery.unreached import Headcount
from services.delivery.who import RIGHTS
from services.platform import auth
from services.platform.auth import Who, in_account
from services.platform.clients import ClientDirectory
from services.platform.clock import Clock
from services.platform.http import Problem


@dataclass(frozen=True, slots=True, kw_only=True)
class Parts:
    settings: DeliverySettings
    pool: asyncpg.Pool[asyncpg.Record]
    reading: PostgresReading
    tail: Tail
    checkup: Checkup
    charts: Charts
    headcount: Headcount
    controls: PostgresControls
    replays: PostgresReplays
    replayer: Replayer
    limits: Limits
    letters: PostgresLetters
    wordings: PostgresWordings
    guarding: PostgresGuarding
    gate: Gate
    ledger: PostgresLedger
    routing: Routing
    sender: Sender
    secrets: Secrets
    taker: Taker
    directory: ClientDirectory
    keys: Callable[[], dict[str, Any]]
    clock: Clock
    readers: Mapping[str, Reader]


PARTS = web.AppKey("parts", Parts)


async def caller(request: web.Request, account: UUID | None = None) -> Who:
    """Whoever calls, if they may make this call (to that account). Raises 401, 403 or 404."""
    return await auth.caller(request, RIGHTS, str(account) if account else None)


async def whose(request: web.Request) -> tuple[UUID, Who]:
    """The account of the path, and who calls: known before anything else is looked at."""
    who = await caller(request)
    account = uuid_at(request, "account")
    in_account(who, account)
    return account, who


def only_account(who: Who, asked: UUID | None) -> UUID | None:
    """The account to read: the credential's own wherever it has one."""
    return account_of(who) or asked


def uuid_at(request: web.Request, name: str) -> UUID:
    try:
        return UUID(request.match_info[name])
    except ValueError:
        raise not_found("There is nothing with this id.") from None


def known_provider(name: str, known: Iterable[str]) -> None:
    """Raises 400 for a name that nobody has."""
    if name not in (names := sorted(known)):
        raise Problem(400, "bad-request", f"There is no provider {name}: one of {', '.join(names)}.")


def known_country(country: str) -> None:
    """Raises 400 where no phone number can be of it."""
    if country not in COUNTRIES:
        raise Problem(400, "bad-request", f"{country} is no country of phone numbers: ISO 3166-1, like GB.")


def not_found(detail: str) -> Problem:
    return Problem(404, "not-found", detail)
