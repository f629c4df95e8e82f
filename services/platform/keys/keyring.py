"""Keyring files: one per purpose, JSON, refused when the world can read them.

`{"purpose": "login", "keys": [{"id": 1, "secret": "<base64>", "state": "active"}]}`; `state` is `distributed`
(known, not used yet), `active` (what new things are made with, exactly one) or `retired` (opens, makes nothing).
A public ring (`grants.pub.json`, `dead-letters.pub.json`) has the same form and holds public keys.
"""

import base64
import json
import os
import stat
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Final, NamedTuple

RELOAD_SECONDS: Final = 2.0


class KeyringError(Exception):
    """A keyring file is missing, open to others or damaged; the text names it and says what to do."""


class SealBroken(Exception):
    """The sealed bytes were altered, cut, or moved to where they do not belong."""


class UnknownKey(Exception):
    """Something names a key id that this ring does not hold (yet, or any more)."""


class Key(NamedTuple):
    id: int
    secret: bytes

    def __repr__(self) -> str:
        return f"Key(id={self.id})"


class Ring:
    """The keys of one purpose. Reads its file again within two seconds of a change."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.raw: dict[str, Any] = {}
        self._keys: dict[int, Key] = {}
        self._active: Key | None = None
        self._stamp = (0, 0)
        self._looked = 0.0
        self._load()

    @property
    def active(self) -> Key:
        self._refresh()
        if self._active is None:
            raise KeyringError(f"{self.path}: no key is active; run `gatepost keys rotate`")
        return self._active

    def get(self, key_id: int) -> Key:
        self._refresh()
        try:
            return self._keys[key_id]
        except KeyError:
            raise UnknownKey(f"key {key_id} is not in {self.path.name}") from None

    def ids(self) -> list[int]:
        self._refresh()
        return sorted(self._keys)

    def _refresh(self) -> None:
        now = time.monotonic()
        if now - self._looked < RELOAD_SECONDS:
            return
        self._looked = now
        if _stamp(self.path) != self._stamp:
            self._load()

    def _load(self) -> None:
        raw = read_ring(self.path)
        self._stamp = _stamp(self.path)
        self._keys = {k["id"]: Key(k["id"], base64.b64decode(k["secret"])) for k in raw["keys"]}
        active = [k["id"] for k in raw["keys"] if k["state"] == "active"]
        self._active = self._keys[active[0]] if active else None
        self.raw = raw


class Keyrings:
    """The keyring files of one service's folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._rings: dict[str, Ring] = {}

    @classmethod
    def load(cls, folder: Path, purposes: Iterable[str]) -> "Keyrings":
        """Open every ring that a service needs, so that a missing one stops its start with its name."""
        rings = cls(folder)
        for purpose in purposes:
            rings.secret(purpose)
        return rings

    def secret(self, purpose: str) -> Ring:
        """The ring of that purpose; a public one is named like its file: `grants.pub`, `dead-letters.pub`."""
        if purpose not in self._rings:
            self._rings[purpose] = Ring(self.folder / f"{purpose}.json")
        return self._rings[purpose]

    def report(self) -> dict[str, list[int]]:
        """Key ids by purpose, as `/readyz` shows them: a new key is made active once every service reports it."""
        return {purpose: ring.ids() for purpose, ring in self._rings.items()}


def read_ring(path: Path) -> dict[str, Any]:
    try:
        mode = path.stat().st_mode
        text = path.read_text()
    except FileNotFoundError:
        raise KeyringError(
            f"{path}: keyring not found. GATEPOST_KEYS is the folder of one service; make all of them with"
            f" `gatepost keys new --dir {path.parent.parent}`"
        ) from None
    except PermissionError:
        raise KeyringError(f"{path}: this user may not read the keyring") from None
    except (OSError, UnicodeDecodeError) as bad:
        raise KeyringError(f"{path}: {getattr(bad, 'strerror', None) or 'not text'}") from None
    if mode & (stat.S_IROTH | stat.S_IWOTH):
        raise KeyringError(f"{path}: others can read or write this keyring; run `chmod o-rw {path}`")
    try:
        raw: dict[str, Any] = json.loads(text)
        if not all({"id", "secret", "state"} <= k.keys() for k in raw["keys"]):
            raise KeyError("keys")
    except (ValueError, KeyError, TypeError, AttributeError):
        raise KeyringError(f"{path}: not a keyring; restore it from your copy") from None
    return raw


def write_ring(path: Path, raw: dict[str, Any]) -> None:
    """Replace the file in one step, readable by its owner only."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    spare = path.with_name(f".{path.name}.{os.getpid()}")
    handle = os.open(spare, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(raw, out, indent=1)
        out.flush()
        os.fsync(out.fileno())
    spare.replace(path)


def _stamp(path: Path) -> tuple[int, int]:
    found = path.stat()
    return found.st_mtime_ns, found.st_ino
