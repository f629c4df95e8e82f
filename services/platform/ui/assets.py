"""Style sheets, scripts and pictures from our own origin, named by their content: browsers keep them for a year."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

from aiohttp import web

from services.platform.http import Problem

KINDS: Final = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}
FOR_EVER: Final = "public, max-age=31536000, immutable"


class Asset(NamedTuple):
    content: bytes
    kind: str


class Assets:
    """The files of the folders' `static/`, in memory; a later folder may not hide a file of an earlier one."""

    def __init__(self, address: str, *folders: Path) -> None:
        self._addresses: dict[str, str] = {}
        self._served: dict[str, Asset] = {}
        for folder in folders:
            for path in sorted((folder / "static").glob("*")):
                if path.suffix in KINDS:
                    self._add(address, path)

    def address(self, name: str) -> str:
        """Where `gatepost.css` is served. Raises `KeyError` for what is not there."""
        return self._addresses[name]

    async def serve(self, request: web.Request) -> web.Response:
        asset = self._served.get(request.match_info["name"])
        if asset is None:
            raise Problem(404, "not-found", "There is nothing at this address.")
        headers = {"Cache-Control": FOR_EVER, "Cross-Origin-Resource-Policy": "same-origin"}
        return web.Response(body=asset.content, content_type=asset.kind, charset="utf-8", headers=headers)

    def _add(self, address: str, path: Path) -> None:
        if path.name in self._addresses:
            raise ValueError(f"two assets are named {path.name}")
        content = path.read_bytes()
        name = f"{path.stem}.{hashlib.sha256(content).hexdigest()[:16]}{path.suffix}"
        self._addresses[path.name] = f"{address}/{name}"
        self._served[name] = Asset(content, KINDS[path.suffix])
