"""A resource server as Authlib's documentation builds it, with Flask: no code of Gatepost's or for Gatepost."""

import asyncio
from typing import Any

import requests
from authlib.integrations.flask_oauth2 import ResourceProtector, current_token
from authlib.integrations.requests_client import OAuth2Session
from authlib.oauth2.rfc7662 import IntrospectTokenValidator
from authlib.oauth2.rfc8414 import AuthorizationServerMetadata
from flask import Flask

import gatepost_client as gp
from deploy.local.story import Story
from gatepost_client import Gatepost
from tests.e2e.client.test_signing_in import PASSWORD, person

WELL_KNOWN = "/.well-known/oauth-authorization-server"


class Introspecting(IntrospectTokenValidator):  # type: ignore[misc]
    """What Authlib asks its users to write: how to reach the endpoint."""

    def __init__(self, session: OAuth2Session, endpoint: str) -> None:
        super().__init__()
        self._session, self._endpoint = session, endpoint

    def introspect_token(self, token_string: str) -> Any:
        answer = self._session.introspect_token(self._endpoint, token=token_string, token_type_hint="access_token")
        answer.raise_for_status()
        return answer.json()


def resource_server(session: OAuth2Session, metadata: AuthorizationServerMetadata) -> Flask:
    app, protect = Flask("resource-server"), ResourceProtector()
    protect.register_token_validator(Introspecting(session, metadata["introspection_endpoint"]))

    @app.get("/me")
    @protect()  # type: ignore[untyped-decorator]
    def me() -> dict[str, Any]:
        return {"sub": current_token["sub"], "acr": current_token["acr"]}

    @app.post("/sign-out")
    @protect()  # type: ignore[untyped-decorator]
    def sign_out() -> dict[str, Any]:
        answer = session.revoke_token(metadata["revocation_endpoint"], token=current_token_string())
        return {"status": answer.status_code}

    return app


def current_token_string() -> str:
    from flask import request

    return request.headers["Authorization"].partition(" ")[2]


def visits(urls: dict[str, str], pair: tuple[str, str], token: str) -> list[tuple[int, Any]]:
    """A person with a token, one without, one with a forged one; then they sign out and come again."""
    metadata = AuthorizationServerMetadata(requests.get(urls["session_store"] + WELL_KNOWN, timeout=10).json())
    metadata.validate_introspection_endpoint()
    metadata.validate_revocation_endpoint()
    session = OAuth2Session(*pair, token_endpoint_auth_method="client_secret_basic")
    browser = resource_server(session, metadata).test_client()
    own = {"Authorization": f"Bearer {token}"}
    answers = [
        browser.get("/me", headers=own),
        browser.get("/me"),
        browser.get("/me", headers={"Authorization": "Bearer gp_forged"}),
        browser.post("/sign-out", headers=own),
        browser.get("/me", headers=own),
    ]
    return [(answer.status_code, answer.get_json()) for answer in answers]


async def test_it_introspects_and_revokes_without_special_code(story: Story, gatepost: Gatepost, pair: tuple[str, str]):
    user = await person(story)
    opened = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(opened, gp.SignedIn)
    assert await gatepost.sessions.introspect(opened.token) is not None
    (seen, stranger, forged, out, again) = await asyncio.to_thread(visits, story.api.urls, pair, opened.token)
    assert seen == (200, {"sub": user["user_id"], "acr": opened.acr})
    assert stranger[0] == 401
    assert (forged[0], forged[1]["error"]) == (401, "invalid_token")
    assert out == (200, {"status": 200})
    assert again[0] == 401
