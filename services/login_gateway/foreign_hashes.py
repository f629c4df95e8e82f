"""Password hashes that other systems made: read, held to bounds, compared.

Forms: PHC strings (`$argon2id$…`, `$scrypt$ln=…`, `$pbkdf2-sha256$…` as passlib or with `i=`), modular crypt (`$2b$…`),
Django's (`pbkdf2_sha256$…`, `scrypt$…`, `bcrypt$…`, `bcrypt_sha256$…`, `argon2$…`), Werkzeug's (`scrypt:…`, `pbkdf2:`).
"""

import base64
import binascii
import hashlib
import hmac
import re
from collections.abc import Callable
from typing import Final, NamedTuple

import argon2
import bcrypt

MIB: Final = 1024 * 1024
LONGEST: Final = 512
# A tenant chooses these when it imports: one comparison may take about half a second, not five.
BCRYPT_COST: Final = range(8, 14)
ARGON2_KIB: Final = range(512, 128 * 1024 + 1)
ARGON2_TIME: Final = range(1, 11)
ARGON2_WORK: Final = 512 * 1024  # KiB times passes
ARGON2_LANES: Final = range(1, 17)
SCRYPT_LOG_N: Final = range(10, 19)
SCRYPT_R: Final = range(1, 33)
SCRYPT_P: Final = range(1, 17)
SCRYPT_MEMORY: Final = 128 * MIB
PBKDF2_ITERATIONS: Final = range(1_000, 1_500_001)
SALT_BYTES: Final = range(4, 129)
HASH_BYTES: Final = range(16, 129)
PBKDF2_DIGESTS: Final = ("sha1", "sha256", "sha512")


class BadHash(ValueError):
    """A stored hash that cannot be used; the text says why, without repeating it."""


class Hash(NamedTuple):
    """A hash that was read: its kind, and how to compare a password with it (slow: run it in a thread)."""

    kind: str
    matches: Callable[[bytes], bool]

    def __repr__(self) -> str:
        return f"Hash({self.kind})"


def read(text: str) -> Hash:
    """Raises `BadHash` for a form we do not know and for parameters out of bounds."""
    if len(text) > LONGEST or not text.isascii():
        raise BadHash(f"a password hash has at most {LONGEST} ASCII characters")
    for pattern, reader in _FORMS:
        if found := pattern.fullmatch(text):
            return reader(*found.groups())
    raise BadHash("this is not an argon2, bcrypt, scrypt or pbkdf2 string")


def _argon2(text: str) -> Hash:
    try:
        given = argon2.extract_parameters(text)
    except (argon2.exceptions.InvalidHashError, ValueError):
        raise BadHash("the argon2 string is damaged") from None
    _within("argon2 memory in KiB", given.memory_cost, ARGON2_KIB)
    _within("argon2 time cost", given.time_cost, ARGON2_TIME)
    if given.memory_cost * given.time_cost > ARGON2_WORK:
        raise BadHash(f"argon2 needs more than {ARGON2_WORK} KiB times passes")
    _within("argon2 parallelism", given.parallelism, ARGON2_LANES)
    _within("argon2 salt bytes", given.salt_len, SALT_BYTES)
    _within("argon2 hash bytes", given.hash_len, HASH_BYTES)
    return Hash("argon2", lambda password: _argon2_matches(text, password))


def _argon2_matches(text: str, password: bytes) -> bool:
    try:
        return argon2.PasswordHasher().verify(text, password)
    except (argon2.exceptions.VerificationError, argon2.exceptions.InvalidHashError):
        return False


def _bcrypt(text: str) -> Hash:
    return _bcrypt_of(text, lambda password: password[:72])


def _bcrypt_sha256(text: str) -> Hash:
    return _bcrypt_of(text, lambda password: hashlib.sha256(password).hexdigest().encode())


def _bcrypt_of(text: str, prepare: Callable[[bytes], bytes]) -> Hash:
    _within("bcrypt cost", int(text[4:6]), BCRYPT_COST)
    stored = text.replace("$2y$", "$2b$", 1).encode()
    return Hash("bcrypt", lambda password: _bcrypt_matches(stored, prepare(password)))


def _bcrypt_matches(stored: bytes, password: bytes) -> bool:
    try:
        return bcrypt.checkpw(password, stored)
    except ValueError:
        return False


def _phc_scrypt(log_n: str, r: str, p: str, salt: str, digest: str) -> Hash:
    return _scrypt(1 << min(int(log_n), 62), int(r), int(p), _base64(salt), _base64(digest))


def _django_scrypt(n: str, salt: str, r: str, p: str, digest: str) -> Hash:
    return _scrypt(int(n), int(r), int(p), salt.encode(), _base64(digest))


def _werkzeug_scrypt(n: str, r: str, p: str, salt: str, digest: str) -> Hash:
    return _scrypt(int(n), int(r), int(p), salt.encode(), _hex(digest))


def _scrypt(n: int, r: int, p: int, salt: bytes, digest: bytes) -> Hash:
    if n < 2 or n & (n - 1):
        raise BadHash("scrypt n must be a power of two")
    _within("scrypt ln", n.bit_length() - 1, SCRYPT_LOG_N)
    _within("scrypt r", r, SCRYPT_R)
    _within("scrypt p", p, SCRYPT_P)
    if 128 * n * r * p > SCRYPT_MEMORY:
        raise BadHash(f"scrypt needs more than {SCRYPT_MEMORY // MIB} MiB (128·n·r·p)")
    _lengths("scrypt", salt, digest)

    def matches(password: bytes) -> bool:
        maxmem = 128 * r * (n + p + 2) + MIB
        made = hashlib.scrypt(password, salt=salt, n=n, r=r, p=p, maxmem=maxmem, dklen=len(digest))
        return hmac.compare_digest(made, digest)

    return Hash("scrypt", matches)


def _phc_pbkdf2(digest_name: str | None, iterations: str, salt: str, digest: str) -> Hash:
    return _pbkdf2(digest_name or "sha1", iterations, _base64(salt), _base64(digest))


def _django_pbkdf2(digest_name: str, iterations: str, salt: str, digest: str) -> Hash:
    return _pbkdf2(digest_name, iterations, salt.encode(), _base64(digest))


def _werkzeug_pbkdf2(digest_name: str, iterations: str, salt: str, digest: str) -> Hash:
    return _pbkdf2(digest_name, iterations, salt.encode(), _hex(digest))


def _pbkdf2(digest_name: str, iterations: str, salt: bytes, digest: bytes) -> Hash:
    if digest_name not in PBKDF2_DIGESTS:
        raise BadHash(f"pbkdf2 is taken with {', '.join(PBKDF2_DIGESTS)}")
    count = int(iterations)
    _within("pbkdf2 iterations", count, PBKDF2_ITERATIONS)
    _lengths("pbkdf2", salt, digest)

    def matches(password: bytes) -> bool:
        return hmac.compare_digest(hashlib.pbkdf2_hmac(digest_name, password, salt, count, len(digest)), digest)

    return Hash("pbkdf2", matches)


def _lengths(kind: str, salt: bytes, digest: bytes) -> None:
    _within(f"{kind} salt bytes", len(salt), SALT_BYTES)
    _within(f"{kind} hash bytes", len(digest), HASH_BYTES)


def _within(what: str, value: int, bounds: range) -> None:
    if value not in bounds:
        raise BadHash(f"{what} must be {bounds.start} to {bounds.stop - 1}")


def _base64(text: str) -> bytes:
    """Standard alphabet, passlib's (`.` for `+`), padding optional."""
    bare = text.rstrip("=").replace(".", "+")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True)
    except binascii.Error:
        raise BadHash("the hash string is not base64 where it should be") from None


def _hex(text: str) -> bytes:
    try:
        return bytes.fromhex(text)
    except ValueError:
        raise BadHash("the hash string is not hexadecimal where it should be") from None


_B: Final = r"([A-Za-z0-9+/.]+={0,2})"
_N: Final = r"(\d{1,9})"
_BCRYPT: Final = r"(\$2[aby]\$\d\d\$[./A-Za-z0-9]{53})"
_READERS: Final[tuple[tuple[str, Callable[..., Hash]], ...]] = (
    (r"(?:argon2)?(\$argon2(?:id|i|d)\$.+)", _argon2),
    (rf"(?:bcrypt\$)?{_BCRYPT}", _bcrypt),
    (rf"bcrypt_sha256\${_BCRYPT}", _bcrypt_sha256),
    (rf"\$scrypt\$ln={_N},r={_N},p={_N}\${_B}\${_B}", _phc_scrypt),
    (rf"scrypt\${_N}\$([^$]+)\${_N}\${_N}\${_B}", _django_scrypt),
    (rf"scrypt:{_N}:{_N}:{_N}\$([^$]+)\$([0-9a-f]+)", _werkzeug_scrypt),
    (rf"\$pbkdf2(?:-([a-z0-9]+))?\$(?:i=)?{_N}(?:,l=\d+)?\${_B}\${_B}", _phc_pbkdf2),
    (rf"pbkdf2_([a-z0-9]+)\${_N}\$([^$]+)\${_B}", _django_pbkdf2),
    (rf"pbkdf2:([a-z0-9]+):{_N}\$([^$]+)\$([0-9a-f]+)", _werkzeug_pbkdf2),
)
_FORMS: Final = tuple((re.compile(pattern), reader) for pattern, reader in _READERS)
