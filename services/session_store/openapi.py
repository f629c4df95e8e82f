"""The session store's OpenAPI document, made from its who table."""

from typing import Any, Final

from services.platform.openapi import document
from services.session_store.who import RIGHTS

DOCUMENT: Final[dict[str, Any]] = document("Gatepost session store", RIGHTS)
