"""`gatepost clients | accounts | users | sessions | recover`: the gateway's commands."""

from typing import Final

import typer

from services.login_gateway import (
    commands_accounts,
    commands_clients,
    commands_recovery,
    commands_sessions,
    commands_users,
)

GROUPS: Final[dict[str, typer.Typer]] = {
    "clients": commands_clients.app,
    "accounts": commands_accounts.app,
    "users": commands_users.app,
    "sessions": commands_sessions.app,
    "recover": commands_recovery.recover,
}
