"""The gateway's OpenAPI document, made from its who table."""

from typing import Any, Final

from services.login_gateway.who import RIGHTS
from services.platform.openapi import document

DOCUMENT: Final[dict[str, Any]] = document("Gatepost login gateway", RIGHTS)
