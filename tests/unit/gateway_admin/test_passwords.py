import asyncio
import base64
import hashlib

import argon2
import bcrypt
import pytest

from services.login_gateway.passwords import BadHash, BadPassword, Passwords, check_hash, check_new

PASSWORD = "correct hörse battery"
RAW = PASSWORD.encode()
SALT = b"saltsaltsalt"


def b64(data: bytes) -> str:
    return base64.b64encode(data).decode()


def ab64(data: bytes) -> str:
    return b64(data).rstrip("=").replace("+", ".")


def pbkdf2(salt: bytes, digest: str = "sha256", size: int | None = None) -> bytes:
    return hashlib.pbkdf2_hmac(digest, RAW, salt, 2000, size)


def scrypt(salt: bytes) -> bytes:
    return hashlib.scrypt(RAW, salt=salt, n=1024, r=8, p=1)


ARGON2I = argon2.PasswordHasher(time_cost=1, memory_cost=1024, parallelism=2, type=argon2.Type.I).hash(RAW)
BCRYPT = bcrypt.hashpw(RAW, bcrypt.gensalt(8)).decode()
BCRYPT_SHA256 = bcrypt.hashpw(hashlib.sha256(RAW).hexdigest().encode(), bcrypt.gensalt(8)).decode()
FOREIGN = {
    "argon2i": ARGON2I,
    "argon2 of Django": f"argon2{ARGON2I}",
    "bcrypt": BCRYPT,
    "bcrypt of PHP": BCRYPT.replace("$2b$", "$2y$"),
    "bcrypt of Django": f"bcrypt${BCRYPT}",
    "bcrypt_sha256 of Django": f"bcrypt_sha256${BCRYPT_SHA256}",
    "scrypt of passlib": f"$scrypt$ln=10,r=8,p=1${b64(SALT).rstrip('=')}${b64(scrypt(SALT)).rstrip('=')}",
    "scrypt of Django": f"scrypt$1024$pepper$8$1${b64(scrypt(b'pepper'))}",
    "scrypt of Werkzeug": f"scrypt:1024:8:1$pepper${scrypt(b'pepper').hex()}",
    "pbkdf2 of Django": f"pbkdf2_sha256$2000$pepper${b64(pbkdf2(b'pepper'))}",
    "pbkdf2 of passlib": f"$pbkdf2-sha512$2000${ab64(SALT)}${ab64(pbkdf2(SALT, 'sha512'))}",
    "pbkdf2 sha1 of passlib": f"$pbkdf2$2000${ab64(SALT)}${ab64(pbkdf2(SALT, 'sha1'))}",
    "pbkdf2 as PHC": f"$pbkdf2-sha256$i=2000,l=32${b64(SALT).rstrip('=')}${b64(pbkdf2(SALT)).rstrip('=')}",
    "pbkdf2 of Werkzeug": f"pbkdf2:sha256:2000$pepper${pbkdf2(b'pepper').hex()}",
}


@pytest.fixture(scope="module")
def passwords():
    made = Passwords(threads=1)
    yield made
    made.close()


async def test_an_own_hash_is_argon2id_at_owasps_minimum_and_needs_no_rehash(passwords):
    stored = await passwords.hash(PASSWORD)
    assert stored.startswith("$argon2id$v=19$m=19456,t=2,p=1$")
    assert await passwords.verify(stored, PASSWORD) == (True, False)
    assert await passwords.verify(stored, PASSWORD + "!") == (False, False)


@pytest.mark.parametrize("stored", FOREIGN.values(), ids=FOREIGN.keys())
async def test_a_foreign_hash_is_verified_and_asks_to_be_rehashed(passwords, stored):
    check_hash(stored)
    assert await passwords.verify(stored, PASSWORD) == (True, True)
    assert await passwords.verify(stored, "another") == (False, False)


async def test_a_user_who_does_not_exist_is_compared_all_the_same_and_never_matches(passwords):
    assert await passwords.verify(None, PASSWORD) == (False, False)


async def test_accents_match_however_they_were_composed(passwords):
    assert (await passwords.verify(await passwords.hash("caf\u00e9 au lait"), "cafe\u0301 au lait")).ok


async def test_a_password_beyond_the_longest_never_matches(passwords):
    stored = await passwords.hash("x" * 257)
    assert not (await passwords.verify(stored, "x" * 300)).ok


@pytest.mark.parametrize(
    ("stored", "reason"),
    [
        ("plain", "not an argon2"),
        ("$argon2id$v=19$m=99999999,t=2,p=1$c2FsdHNhbHQ$" + "A" * 43, "memory"),
        ("$argon2id$v=19$m=19456,t=200,p=1$c2FsdHNhbHQ$" + "A" * 43, "time"),
        ("$argon2id$v=19$m=131072,t=10,p=1$c2FsdHNhbHQ$" + "A" * 43, "times passes"),
        ("$2b$31$" + "a" * 53, "bcrypt cost must be 8 to 13"),
        ("$scrypt$ln=30,r=8,p=1$c2FsdHNhbHQ$" + "A" * 43, "scrypt ln"),
        ("scrypt$1000$salt$8$1$" + "A" * 43, "power of two"),
        ("$scrypt$ln=18,r=32,p=16$c2FsdHNhbHQ$" + "A" * 43, "MiB"),
        ("pbkdf2_sha256$999999999$salt$" + "A" * 44, "iterations"),
        ("pbkdf2_md5$2000$salt$" + "A" * 44, "sha1, sha256, sha512"),
        ("$argon2id$" + "x" * 600, "at most"),
        ("$argon2id$broken", "damaged"),
    ],
)
def test_a_hash_out_of_bounds_is_refused_with_its_reason(stored, reason):
    with pytest.raises(BadHash, match=reason):
        check_hash(stored)


@pytest.mark.parametrize("password", ["short", "x" * 257, "aaaaaaaa", "ada@office"])
def test_a_new_password_that_is_too_short_too_long_or_obvious_is_refused(password):
    with pytest.raises(BadPassword):
        check_new(password, username="Ada@Office")


async def test_slow_hashes_of_others_keep_nobody_waiting():
    passwords = Passwords(1)
    mine, slow = await passwords.hash("correct horse"), bcrypt.hashpw(b"x", bcrypt.gensalt(12)).decode()
    foreign = [asyncio.create_task(passwords.verify(slow, f"wrong {n}")) for n in range(6)]
    await asyncio.sleep(0)
    assert (await passwords.verify(mine, "correct horse")).ok
    assert not foreign[-1].done()
    assert not any(checked.ok for checked in await asyncio.gather(*foreign))
    passwords.close()
