"""OpenAPI 3.1 from a service's who table: every call, who may make it, what a failure looks like."""

from collections.abc import Mapping
from typing import Any, Final

from services import VERSION
from services.platform.auth import Right

_PROBLEM: Final = {"description": "A problem document (RFC 9457); see docs/problems.md"}
_SCHEMES: Final = {"client": {"type": "http", "scheme": "basic"}, "token": {"type": "http", "scheme": "bearer"}}
COMMON: Final = ("/healthz", "/readyz", "/metrics", "/openapi.json")


def document(title: str, rights: Mapping[tuple[str, str], Right | None]) -> dict[str, Any]:
    """`rights` maps (method, path pattern) to a row of the who table; None means public, as what all services have."""
    paths: dict[str, Any] = {}
    for (method, path), right in [*rights.items(), *((("GET", path), None) for path in COMMON)]:
        paths.setdefault(path, {})[method.lower()] = _operation(method, path, right)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": VERSION, "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"}},
        "paths": paths,
        "components": {"securitySchemes": _SCHEMES},
    }


def _operation(method: str, path: str, right: Right | None) -> dict[str, Any]:
    names = [part[1:-1] for part in path.split("/") if part.startswith("{")]
    return {
        "operationId": method.lower() + path.replace("/", "_").replace("-", "_").replace("{", "").replace("}", ""),
        "parameters": [{"name": n, "in": "path", "required": True, "schema": {"type": "string"}} for n in names],
        "responses": {"2XX": {"description": "Done"}, "default": _PROBLEM},
        "security": [] if right is None else [{"client": []}, *([{"token": []}] if right.roles else [])],
    }
