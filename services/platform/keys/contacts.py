"""Contacts: sealed with AES-256-GCM (NIST SP 800-38D) under HKDF (RFC 5869), hashed for search, masked for lists."""

import base64
import hmac
import os
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final, NamedTuple
from uuid import UUID

import msgspec
import phonenumbers
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from email_validator import EmailNotValidError, validate_email

from services.platform.keys.keyring import Ring, SealBroken

FORMAT: Final = 1
NONCE: Final = 12
DOTS: Final = "•••"


class BadContact(ValueError):
    """A phone number or an e-mail address that cannot be used; the text says why, without repeating it."""


class LoginSecrets(msgspec.Struct, frozen=True, omit_defaults=True):
    """What a login's event carries sealed. `email_off`: its user has an address, and e-mail off."""

    salt: bytes
    phone: str | None = None
    email: str | None = None
    email_off: bool = False

    def __repr__(self) -> str:
        return "LoginSecrets(sealed)"


class Contacts:
    """Seals and opens. `info` says where the bytes belong; elsewhere they do not open."""

    def __init__(self, ring: Ring) -> None:
        self._ring = ring

    def seal(self, data: bytes, info: str) -> bytes:
        """`format (1) ‖ key id (1) ‖ nonce (12) ‖ ciphertext and tag`."""
        key = self._ring.active
        nonce = os.urandom(NONCE)
        return bytes((FORMAT, key.id)) + nonce + _cipher(key.secret, info).encrypt(nonce, data, info.encode())

    def open(self, blob: bytes, info: str) -> bytes:
        """Raises `SealBroken`, or `UnknownKey` when the key has not reached this service."""
        if len(blob) < 2 + NONCE + 16 or blob[0] != FORMAT:
            raise SealBroken("not a sealed value")
        key = self._ring.get(blob[1])
        try:
            return _cipher(key.secret, info).decrypt(blob[2 : 2 + NONCE], blob[2 + NONCE :], info.encode())
        except InvalidTag:
            raise SealBroken("the sealed value does not belong here") from None


def _cipher(secret: bytes, info: str) -> AESGCM:
    return AESGCM(HKDF(algorithm=SHA256(), length=32, salt=None, info=info.encode()).derive(secret))


def column_info(purpose: str, table: str, row: object, field: str) -> str:
    return f"{purpose}\x1f{table}\x1f{row}\x1f{field}"


class Bound(NamedTuple):
    """What the sealed part of an event is bound to: copied, redirected or prolonged, it does not open."""

    event: str
    login_id: UUID | str
    account_id: UUID | str
    user_id: UUID | str | None
    cause: str
    channel: str
    expires_at: datetime
    code_key_id: int = 0
    digits: int = 0

    def info(self) -> str:
        expiry = self.expires_at.astimezone(UTC).isoformat(timespec="microseconds")
        return "\x1f".join(str(part) for part in ("contacts", *self._replace(expires_at=expiry)))  # type: ignore[arg-type]


def seal_login(contacts: Contacts, to: Bound, secrets: LoginSecrets) -> str:
    """The `sealed` field of an event, base64url."""
    return base64.urlsafe_b64encode(contacts.seal(msgspec.json.encode(secrets), to.info())).decode()


def open_login(contacts: Contacts, to: Bound, sealed: str) -> LoginSecrets:
    """The other way round; raises `SealBroken` or `UnknownKey`."""
    try:
        blob = base64.urlsafe_b64decode(sealed)
    except ValueError:
        raise SealBroken("not base64url") from None
    data = contacts.open(blob, to.info())
    return msgspec.json.decode(data, type=LoginSecrets)


def search_hash(ring: Ring, kind: str, value: str) -> bytes:
    """A keyed hash of a contact: equal contacts are found, none can be guessed without the key."""
    return hmac.digest(ring.active.secret, f"{kind}\x1f{value.casefold()}".encode(), "sha256")


def parse_phone(text: str, region: str | None = None) -> str:
    """E.164, or `BadContact` with the reason."""
    try:
        number = phonenumbers.parse(text, region)
    except phonenumbers.NumberParseException as bad:
        raise BadContact(f"{_sentence(bad)} Write it with its country code, like +44 20 7946 0958.") from None
    if not phonenumbers.is_possible_number(number):
        raise BadContact("The phone number is too long or too short for its country.")
    return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


def _sentence(bad: phonenumbers.NumberParseException) -> str:
    kinds = {
        phonenumbers.NumberParseException.INVALID_COUNTRY_CODE: "The country code is missing or unknown.",
        phonenumbers.NumberParseException.TOO_LONG: "The phone number is too long.",
        phonenumbers.NumberParseException.TOO_SHORT_NSN: "The phone number is too short.",
        phonenumbers.NumberParseException.TOO_SHORT_AFTER_IDD: "The phone number is too short.",
    }
    return kinds.get(bad.error_type, "This is not a phone number.")


def parse_email(text: str) -> str:
    """The address as SMTP takes it (an international domain in its ASCII form), or `BadContact` with the reason."""
    try:
        found = validate_email(text, check_deliverability=False, test_environment=True, allow_smtputf8=False)
        return str(found.ascii_email)
    except EmailNotValidError as bad:
        raise BadContact(_without_value(str(bad), text)) from None


def _without_value(reason: str, text: str) -> str:
    return reason if text not in reason else "The e-mail address is not valid."


def country_of(e164: str) -> str | None:
    """ISO 3166-1 alpha-2 region of a number, for routing and metrics."""
    return phonenumbers.region_code_for_number(phonenumbers.parse(e164))


@lru_cache(maxsize=4096)
def _calling_code(e164: str) -> str:
    return str(phonenumbers.parse(e164).country_code)


def mask_phone(e164: str) -> str:
    """`+44 •••• ••67`: the country code and the last two digits."""
    return f"+{_calling_code(e164)} •••• ••{e164[-2:]}"


def mask_email(address: str, domain: bool = True) -> str:
    """`a•••@example.com`, or without its domain for those who are not to learn it."""
    local, _, host = address.rpartition("@")
    return f"{local[:1]}{DOTS}@{host if domain else DOTS}"
