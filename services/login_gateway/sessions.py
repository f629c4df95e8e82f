"""What ends sessions or measures them, as events; and what clearing all of an account's asks first."""

from typing import Any

from schemas.events import ExpireAll, ExpireScope, SessionPolicyChanged
from services.login_gateway import events
from services.platform.clock import event_id
from services.platform.http import Problem


def confirmed(account: Any, confirm: str) -> None:
    """`confirm` repeats the account's name or id. Raises 400 `not-confirmed`."""
    if confirm not in (account["name"], str(account["account_id"])):
        raise Problem(
            400, "not-confirmed", "This logs out ALL users: repeat the account's name in confirm.", field="confirm"
        )


def policy_changed(row: Any, seconds: int, by: str) -> SessionPolicyChanged:
    """`row`: the account, with the instant from which the length counts."""
    return SessionPolicyChanged(
        id=event_id("SessionPolicyChanged", row["account_id"], row["policy_at"].isoformat()),
        source=events.SOURCE,
        time=row["policy_at"],
        account_id=str(row["account_id"]),
        max_age=seconds,
        effective_at=row["policy_at"],
        by=by,
    )


def expire_all(row: Any, scope: ExpireScope, by: str, erased: bool = False) -> ExpireAll:
    """`row`: the user or account whose epoch was just raised. `erased`: the user is no more."""
    user_id = str(row["user_id"]) if scope == "user" else None
    return ExpireAll(
        id=event_id("ExpireAll", scope, user_id or row["account_id"], row["epoch"]),
        source=events.SOURCE,
        time=row["at"],
        account_id=str(row["account_id"]),
        user_id=user_id,
        scope=scope,
        floor=row["epoch"],
        by=by,
        erased=erased,
    )
