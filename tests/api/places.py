"""True things for the names in a path, made for one operation, so that it may spoil them."""

import asyncio
import secrets
from datetime import UTC, datetime
from typing import Any

import aiohttp

from deploy.local.people import Api
from services.platform.clock import new_id


async def places(api: Api) -> dict[str, str]:
    """An account with a user, a login under way, a fed login and a client; a provider, a session, a replay's id."""
    account = await api.expect(201, "gateway", "POST", "/v1/accounts", {"name": f"fuzz-{secrets.token_hex(6)}"})
    where = f"/v1/accounts/{account['account_id']}"
    person = {
        "username": "lovelace",
        "password": "a good long phrase",
        "external_id": "e-1",
        "email": f"{secrets.token_hex(6)}@example.com",
        "two_factor": {"email": True},
    }
    user = await api.expect(201, "gateway", "POST", f"{where}/users", person)
    sign_in = {"account": account["name"], "username": "lovelace", "password": person["password"]}
    login = await api.expect(202, "gateway", "POST", "/v1/logins", sign_in, authenticated=False)
    while (await api.call("delivery", "GET", f"/v1/timelines/{login['login_id']}"))[0] == 404:  # noqa: ASYNC110
        await asyncio.sleep(0.02)
    new = {"scopes": ["feed", "introspect"], "account": account["account_id"]}
    client = await api.expect(201, "gateway", "POST", "/v1/clients", new)
    return {
        "account": account["account_id"],
        "name": account["name"],
        "user": user["user_id"],
        "external_id": "e-1",
        "client_id": client["client_id"],
        "login": login["login"],
        "login_id": login["login_id"],
        "reference": await _fed(api, client),
        "provider": "twilio",
        "letter_id": str(new_id()),
        "feed": aiohttp.encode_basic_auth(client["client_id"], client["client_secret"]),
    }


async def _fed(api: Api, client: dict[str, Any]) -> str:
    item = {"reference": "r-1", "user": {"external_id": "e-1"}, "authenticated_at": datetime.now(UTC).isoformat()}
    headers = {"Authorization": aiohttp.encode_basic_auth(client["client_id"], client["client_secret"])}
    sent = {"logins": [item]}
    while (await api.call("gateway", "POST", "/v1/feed/logins", sent, authenticated=False, headers=headers))[0] == 401:
        pass  # the client was made this moment
    return "r-1"


async def replay(api: Api) -> str:
    """Ten a minute may be made, so one serves all tests."""
    account = await api.expect(201, "gateway", "POST", "/v1/accounts", {"name": f"fuzz-{secrets.token_hex(6)}"})
    asked = {"account": account["account_id"], "state": "failed"}
    made = await api.expect(202, "delivery", "POST", "/v1/replays", asked)
    return str(made["replay_id"])
