"""Canaries in an account's own words: those that are set stand in their table, those that are only tried nowhere."""

import json
from typing import Any

from tests.secrecy.play import Cast


async def play(cast: Cast) -> None:
    path = f"/v1/wordings/{cast.account}"
    await cast.api.expect(200, "delivery", "PUT", path, _wording(cast, "wording"))
    shown = await cast.api.expect(200, "delivery", "GET", path)
    tried: dict[str, Any] = {"locale": "fr", "wording": _wording(cast, "wording that is tried")}
    seen = await cast.api.expect(200, "delivery", "POST", f"{path}/preview", tried)
    assert tried["wording"]["texts"]["fr"]["email_greeting"] in json.dumps(seen, ensure_ascii=False)
    refused = _wording(cast, "wording that is tried")
    refused["texts"]["fr"]["sms"] = cast.canaries.new("wording that is tried", "cy {} {{code")
    await cast.api.expect(400, "delivery", "PUT", path, refused)
    assert shown == await cast.api.expect(200, "delivery", "GET", path)


def _wording(cast: Cast, field: str) -> dict[str, Any]:
    """The code stands before a canary, which may look like one; nobody of the play reads French."""
    new = cast.canaries.new
    return {
        "account_name": new(field, "Cy {}"),
        "email_sender": new(field, "Cý {}"),
        "sms_sender": cast.canaries.phone(field),
        "texts": {
            "*": {"sms": new(field, "{{code}} {}"), "email_sign_off": new(field, "Cý {}")},
            "fr": {"email_subject": new(field, "Cý {}"), "email_greeting": new(field, "Cý {}")},
        },
    }
