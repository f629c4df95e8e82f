"""What the gateway's rules work with, built once by `app.py`."""

from __future__ import annotations

from dataclasses import dataclass

from aiohttp import web

from services.login_gateway.limits import Names
from services.login_gateway.passwords import Passwords
from services.login_gateway.ports import Counters, Feeds, Logins, Publisher, Repetitions, Upkeep, Users
from services.login_gateway.settings import GatewaySettings
from services.platform.clock import Clock
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Contacts
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Ring
from services.platform.keys.tokens import Handles, Mint, SessionTokens


@dataclass(frozen=True)
class House:
    """The gateway's collaborators."""

    settings: GatewaySettings
    users: Users
    counters: Counters
    logins: Logins
    repetitions: Repetitions
    feeds: Feeds
    upkeep: Upkeep
    outbox: Publisher
    passwords: Passwords
    clock: Clock
    codes: Codes
    contacts: Contacts
    search: Ring
    names: Names
    handles: Handles
    tokens: SessionTokens
    mint: Mint
    signer: Signer


HOUSE: web.AppKey[House] = web.AppKey("house", House)
