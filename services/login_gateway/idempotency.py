"""`Idempotency-Key`: scoped to the user, bound to the body, living as long as the code."""

import hmac
from uuid import UUID

import msgspec

from services.login_gateway.house import House
from services.login_gateway.password_step import LoginBody
from services.login_gateway.ports import Kept
from services.platform.http import Problem


def kept_of(house: House, key: str, body: LoginBody) -> Kept:
    """The body without its password."""
    rest = msgspec.json.encode(msgspec.structs.replace(body, password="")).decode()
    return Kept(house.names.of("key", key), house.names.of("body", rest))


async def login_of(house: House, user_id: UUID, kept: Kept) -> UUID | None:
    """The login that an earlier call with this key opened. Ask only after the password was found right."""
    row = await house.repetitions.of_key(user_id, kept.key)
    if row is None:
        return None
    if not hmac.compare_digest(row["body_mac"], kept.body_mac):
        raise Problem(422, "idempotency-key-reused", "This Idempotency-Key was used for another request.")
    found: UUID = row["login_id"]
    return found


async def winner(house: House, user_id: UUID, kept: Kept) -> UUID:
    """The insert waited for a call with the same key, and that one won."""
    if (won := await login_of(house, user_id, kept)) is None:
        raise Problem(409, "login-under-way", "A call with this Idempotency-Key is under way. Repeat it.")
    return won
