"""Records to events: signed where it matters, and nothing that ends a session is missed."""

import base64
import json
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gatepost_client import events, topics
from gatepost_client.signatures import BadKeys, BadSignature, PublicKeys
from gatepost_client.topics import UnknownType, Unreadable

ENVELOPE = {"id": "1", "source": "gatepost", "time": "2026-11-24T09:30:00Z", "account_id": "a", "user_id": "u"}
EXPIRE = ENVELOPE | {"type": "ExpireAll", "scope": "user", "floor": 5, "by": "admin"}
FAILED = ENVELOPE | {"type": "DeliveryFailed", "cause": "login", "channel": "sms", "state": "failed", "reason": "x"}


class Gateway:
    """Signs as the gateway does."""

    def __init__(self, folder: Path, key_id: int = 1) -> None:
        self.path, self.key_id = folder / "grants.pub.json", key_id
        self.rotate(key_id)

    def rotate(self, key_id: int) -> None:
        self.private, self.key_id = Ed25519PrivateKey.generate(), key_id
        public = base64.b64encode(self.private.public_key().public_bytes_raw()).decode()
        ring = {"purpose": "grants.pub", "keys": [{"id": key_id, "secret": public, "state": "active"}]}
        spare = self.path.with_suffix(".new")
        spare.write_text(json.dumps(ring))
        spare.replace(self.path)

    def sign(self, topic: str, key: bytes, value: bytes) -> bytes:
        parts = b"".join(len(part).to_bytes(4, "big") + part for part in (topic.encode(), key, value))
        return bytes((self.key_id,)) + self.private.sign(b"gatepost grant\x00" + parts)


@pytest.fixture
def gateway(tmp_path: Path) -> Gateway:
    return Gateway(tmp_path)


def encoded(body: Any) -> bytes:
    return json.dumps(body).encode()


def test_a_signed_event_counts_only_as_it_was_signed(gateway: Gateway):
    reader, value = topics.session_events(PublicKeys(gateway.path)), encoded(EXPIRE)
    signature = gateway.sign("session-events", b"u", value)
    assert isinstance(reader.decode(b"u", value, signature), events.ExpireAll)
    for key, body, given in (
        (b"u", value, None),
        (b"u", value, signature[:-1]),
        (b"u", value, bytes((9,)) + signature[1:]),
        (b"v", value, signature),
        (b"u", encoded(EXPIRE | {"floor": 6}), signature),
        (b"u", value, gateway.sign("clients", b"u", value)),
    ):
        with pytest.raises(BadSignature):
            reader.decode(key, body, given)


def test_a_new_key_is_found_and_a_revoked_one_counts_no_longer(gateway: Gateway):
    keys, value = PublicKeys(gateway.path), encoded(EXPIRE)
    old = gateway.sign("session-events", b"u", value)
    gateway.rotate(2)
    keys.refresh()
    with pytest.raises(BadSignature, match="not known"):
        keys.verify("session-events", b"u", value, old)
    gateway.rotate(3)
    keys.verify("session-events", b"u", value, gateway.sign("session-events", b"u", value))


def test_a_signed_type_that_is_not_known_stops_the_reader_and_an_unsigned_one_does_not(gateway: Gateway):
    reader, value = topics.session_events(PublicKeys(gateway.path)), encoded(ENVELOPE | {"type": "ExpireSome"})
    with pytest.raises(UnknownType, match="up to date"):
        reader.decode(b"u", value, gateway.sign("session-events", b"u", value))
    with pytest.raises(Unreadable) as raised:
        reader.decode(b"u", value, None)
    assert type(raised.value) is Unreadable
    with pytest.raises(BadSignature):
        reader.decode(b"u", value, b"\x01" + bytes(64))


def test_a_word_and_a_field_of_tomorrow_are_read_and_what_is_no_event_is_not():
    reader = topics.delivery_outcomes()
    event = reader.decode(b"u", encoded(FAILED | {"next": "pigeon", "weather": "fair"}), None)
    assert isinstance(event, events.DeliveryFailed)
    assert event.next == "pigeon"
    for value in (None, b"", b"\xff", b"[" * 100_000, encoded(FAILED), encoded(EXPIRE), encoded(FAILED | {"time": 1})):
        with pytest.raises(Unreadable):
            reader.decode(b"u", value, None)


def test_a_file_that_holds_no_keys_says_so(tmp_path: Path):
    for text in ("", "[]", '{"purpose": "grants.pub", "keys": [{"id": 1, "secret": "AA=="}]}'):
        (tmp_path / "grants.pub.json").write_text(text)
        with pytest.raises(BadKeys, match=r"grants\.pub\.json"):
            PublicKeys(tmp_path / "grants.pub.json")
    with pytest.raises(BadKeys):
        PublicKeys(tmp_path / "nothing.json")


def test_another_ring_than_the_public_keys_says_so(gateway: Gateway):
    ring = json.loads(gateway.path.read_text())
    gateway.path.write_text(json.dumps(ring | {"purpose": "session"}))
    with pytest.raises(BadKeys, match=r"the keys of session.*Copy `grants\.pub\.json`"):
        PublicKeys(gateway.path)
