"""Making keyring files: each service's folder gets only the rings that it needs."""

import base64
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from services.platform.keys.codes import first_day, id_of
from services.platform.keys.keyring import KeyringError, read_ring, write_ring

HOLDERS: Final[dict[str, tuple[str, ...]]] = {
    "code": ("gateway", "delivery"),
    "contacts": ("gateway", "delivery"),
    "search": ("gateway", "delivery"),
    "login": ("gateway",),
    "mint": ("gateway",),
    "web": ("gateway",),
    "session": ("gateway", "session-store"),
    "receipts": ("delivery",),
    "grants": ("gateway",),
    "grants.pub": ("gateway", "delivery", "session-store"),
    "dead-letters": ("delivery",),
    "dead-letters.pub": ("gateway", "delivery", "session-store"),
}
SERVICES: Final = ("gateway", "delivery", "session-store")


def purposes_of(service: str) -> list[str]:
    return [purpose for purpose, holders in HOLDERS.items() if service in holders]


def make_keys(folder: Path, now: datetime | None = None) -> list[Path]:
    """Write the first key of every purpose below `folder/<service>/`; an existing file is never touched."""
    made: dict[str, dict[str, Any]] = {}
    for purpose in HOLDERS:
        if not purpose.endswith(".pub"):
            made.update(_new_rings(purpose, now or datetime.now(UTC)))
    wanted = [(folder / s / f"{p}.json", p) for p, holders in HOLDERS.items() for s in holders]
    present = [path for path, _ in wanted if path.exists()]
    if present and len(present) < len(wanted):
        missing = next(path for path, _ in wanted if not path.exists())
        raise KeyringError(f"{missing}: missing while others exist; restore it, or start with an empty folder")
    if present:
        return []
    for path, purpose in wanted:
        write_ring(path, made[purpose])
    return [path for path, _ in wanted]


def _new_rings(purpose: str, now: datetime) -> dict[str, dict[str, Any]]:
    private, public = _new_pair(purpose)
    day = first_day(now)
    key_id = id_of(day) if purpose == "code" else 1
    rings = {purpose: _ring(purpose, key_id, private)}
    if purpose == "code":
        rings[purpose]["day"] = day.isoformat()
    if public is not None:
        rings[f"{purpose}.pub"] = _ring(f"{purpose}.pub", key_id, public)
    return rings


def _new_pair(purpose: str) -> tuple[bytes, bytes | None]:
    match purpose:
        case "grants":
            key = Ed25519PrivateKey.generate()
            return key.private_bytes_raw(), key.public_key().public_bytes_raw()
        case "dead-letters":
            agreement = X25519PrivateKey.generate()
            return agreement.private_bytes_raw(), agreement.public_key().public_bytes_raw()
        case _:
            return os.urandom(32), None


def _ring(purpose: str, key_id: int, secret: bytes) -> dict[str, Any]:
    key = {"id": key_id, "secret": base64.b64encode(secret).decode(), "state": "active"}
    return {"purpose": purpose, "keys": [key]}


def add_key(folder: Path, purpose: str) -> int:
    """Distribute a new key of that purpose (state `distributed`) to every holder's file; gives its id."""
    private, public = _new_pair(purpose)
    present = read_ring(folder / HOLDERS[purpose][0] / f"{purpose}.json")
    key_id: int = max(key["id"] for key in present["keys"]) + 1
    if key_id > 255:
        raise KeyringError(f"{purpose}: all 255 key ids are used; begin a new keyring")
    for name, secret in ((purpose, private), (f"{purpose}.pub", public)):
        if secret is not None:
            _append(folder, name, {"id": key_id, "secret": base64.b64encode(secret).decode(), "state": "distributed"})
    return key_id


def activate(folder: Path, purpose: str, key_id: int) -> None:
    """Make a distributed key the active one; the one before it stays to open what it made."""
    for name in (purpose, f"{purpose}.pub"):
        for holder in HOLDERS.get(name, ()):
            path = folder / holder / f"{name}.json"
            raw = read_ring(path)
            for key in raw["keys"]:
                key["state"] = "active" if key["id"] == key_id else "retired"
            write_ring(path, raw)


def revoke(folder: Path, purpose: str, key_id: int) -> None:
    """Take a key out of every holder's file: within two seconds all that names it ends. Never the active one."""
    present = {key["id"]: key["state"] for key in read_ring(folder / HOLDERS[purpose][0] / f"{purpose}.json")["keys"]}
    if key_id not in present:
        raise KeyringError(f"{purpose}: there is no key {key_id}; run `gatepost keys list --dir {folder}`")
    if present[key_id] == "active":
        raise KeyringError(f"{purpose}: key {key_id} is active; first run `gatepost keys rotate` and `keys activate`")
    for name in (purpose, f"{purpose}.pub"):
        for holder in HOLDERS.get(name, ()):
            path = folder / holder / f"{name}.json"
            raw = read_ring(path)
            raw["keys"] = [key for key in raw["keys"] if key["id"] != key_id]
            write_ring(path, raw)


def _append(folder: Path, name: str, key: dict[str, Any]) -> None:
    for holder in HOLDERS[name]:
        path = folder / holder / f"{name}.json"
        raw = read_ring(path)
        raw["keys"].append(key)
        write_ring(path, raw)
