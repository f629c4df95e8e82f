"""`python -m tests.bench.gateway`: the gateway with a password hash of next to no cost.

Argon2id with 512 KiB and one pass, the least that the gateway reads (0.2 ms instead of 18): rows that say "no password
hash" go the whole way of a login, thread and all, and measure what is not hashing.
"""

import argon2

from services.login_gateway import passwords

KIB = 512


def cheap() -> argon2.PasswordHasher:
    return argon2.PasswordHasher(time_cost=1, memory_cost=KIB, parallelism=1)


def main() -> None:
    from services.login_gateway.__main__ import main as serve

    passwords.HASHER = cheap()  # type: ignore[misc]
    serve()


if __name__ == "__main__":
    main()
