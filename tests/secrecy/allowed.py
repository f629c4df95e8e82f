"""Where each input field may stand, and why. What is not here may stand nowhere, in no form.

A table also means its indexes and TOAST, Postgres' own statistics of it and the log of changes; a topic also means the
outbox that its events wait in.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import Final

from tests.secrecy.needles import Secret

GATEWAY, DELIVERY, STORE = "gateway", "delivery", "session-store"


@dataclass(frozen=True, kw_only=True)
class Allowance:
    """`forms` is a pattern of form names; in `places`, `{name}` is the secret's own name."""

    reason: str
    tables: tuple[tuple[str, str], ...] = ()
    topics: tuple[str, ...] = ()
    places: tuple[str, ...] = ()
    forms: str = "*"

    def patterns(self, name: str) -> Iterator[str]:
        for service, table in self.tables:
            yield from (f"postgres/{service}/{table}/*", f"postgres/{service}/pg_statistic/*", "postgres/wal")
        for topic in self.topics:
            yield from (f"kafka/{topic}/*", "postgres/*/outbox/*", "postgres/wal")
        yield from (place.replace("{name}", name) for place in self.places)

    def covers(self, secret: Secret, place: str, form: str) -> bool:
        wanted = self.patterns(secret.name)
        return fnmatchcase(form, self.forms) and any(fnmatchcase(place, pattern) for pattern in wanted)


NOWHERE: Final[tuple[Allowance, ...]] = ()
ALLOWED: Final[dict[str, tuple[Allowance, ...]]] = {
    # What the promise is about.
    "phone": NOWHERE,
    "email": NOWHERE,
    "prefix": NOWHERE,
    "code": NOWHERE,
    "wrong code": NOWHERE,
    "handle": NOWHERE,
    "token": NOWHERE,
    "token secret": (
        Allowance(
            reason="2.3: Verified and the store hold 16 bytes of its SHA-256",
            tables=((STORE, "sessions"),),
            topics=("session-events",),
            forms="sha256 *",
        ),
    ),
    "password": NOWHERE,
    "idempotency key": NOWHERE,
    "key": NOWHERE,
    "database password": NOWHERE,
    "provider token": NOWHERE,
    "client secret": (
        Allowance(
            reason="4: 256 random bits, of which only SHA-256 is kept; ClientChanged carries it to all services",
            tables=((GATEWAY, "clients"), (DELIVERY, "clients"), (STORE, "clients")),
            topics=("clients",),
            forms="sha256 *",
        ),
    ),
    "address": NOWHERE,
    "user agent": NOWHERE,
    "search": NOWHERE,
    "misplaced": NOWHERE,
    "browser's cookie": NOWHERE,
    "form token": NOWHERE,
    "return to": NOWHERE,
    # What describes a user or a login, and is needed where it stands.
    "username": (
        Allowance(
            reason="promise: usernames only in the users table and the audit (which names users by their id)",
            tables=((GATEWAY, "users"),),
        ),
    ),
    "username on a command line": (
        Allowance(
            reason="an operator's own command names whom it is about",
            tables=((GATEWAY, "users"),),
            places=("process/gatepost/cmdline",),
        ),
    ),
    "password hash": (
        Allowance(reason="promise: they do get password hashes, until the next login", tables=((GATEWAY, "users"),)),
    ),
    "name": (Allowance(reason="4: a user's name, for lists and search", tables=((GATEWAY, "users"),)),),
    "external id": (
        Allowance(
            reason="3, 4: the platform's own id of a user; LoginFed names who is fed",
            tables=((GATEWAY, "users"), (GATEWAY, "feed_waiting")),
            topics=("logins",),
        ),
    ),
    "claims": (
        Allowance(
            reason="4: claims go into introspection",
            tables=((GATEWAY, "users"), (STORE, "sessions")),
            topics=("session-events",),
        ),
    ),
    "locale": (
        Allowance(
            reason="3: context {locale} of LoginFed and LoginChallenged; the language of a message",
            tables=((GATEWAY, "users"), (GATEWAY, "logins"), (GATEWAY, "feed_waiting"), (DELIVERY, "deliveries")),
            topics=("logins", "login-challenges"),
        ),
    ),
    "origin": (
        Allowance(
            reason="3: context {origin} of LoginFed and LoginChallenged",
            tables=((GATEWAY, "logins"), (GATEWAY, "feed_waiting"), (DELIVERY, "deliveries")),
            topics=("logins", "login-challenges"),
        ),
    ),
    "device": (
        Allowance(
            reason="3: context {device} of LoginFed and LoginChallenged, device of Verified and of introspection",
            tables=((GATEWAY, "logins"), (GATEWAY, "feed_waiting"), (DELIVERY, "logins"), (STORE, "sessions")),
            topics=("logins", "login-challenges", "session-events"),
        ),
    ),
    "reference": (
        Allowance(
            reason="3: the platform's own id of a login, in the envelope of every event",
            tables=((GATEWAY, "logins"), (GATEWAY, "feed_waiting")),
            topics=("logins", "login-challenges", "login-outcomes", "session-events"),
        ),
    ),
    "account name": (
        Allowance(
            reason="4: an account is a customer's organisation; settings are no secret in the audit",
            tables=((GATEWAY, "accounts"), (GATEWAY, "audit")),
        ),
    ),
    "client name": (Allowance(reason="4: what its owner calls a program", tables=((GATEWAY, "clients"),)),),
    "brand": (
        Allowance(
            reason="what an account's sign-in pages show to everybody; settings are no secret in the audit",
            tables=((GATEWAY, "brands"), (GATEWAY, "audit")),
        ),
    ),
    "wording": (
        Allowance(
            reason="what an account says to its users is no secret; delivery keeps it", tables=((DELIVERY, "wordings"),)
        ),
    ),
    "wording that is tried": NOWHERE,
    "replay id": (
        Allowance(
            reason="2.5: a replay's id names the cause of its deliveries: in events, a login's status, the log",
            tables=(
                (DELIVERY, "replays"),
                (DELIVERY, "deliveries"),
                (DELIVERY, "delivery_log"),
                (DELIVERY, "audit"),
                (GATEWAY, "logins"),
            ),
            topics=("delivery-outcomes",),
            places=("log/delivery",),
        ),
    ),
    "replay filter": (
        Allowance(
            reason="2.5: replays are audited with their filter", tables=((DELIVERY, "replays"), (DELIVERY, "audit"))
        ),
    ),
    "discard reason": (
        Allowance(
            reason="2.5: an operator says why nobody needs a dead letter; it is kept with it, and audited",
            tables=((DELIVERY, "dead_letters"), (DELIVERY, "audit")),
        ),
    ),
    # What somebody with write access to Kafka put there. It must not spread.
    "record": (Allowance(reason="it stands where it was written", places=("kafka/{name}/*",)),),
    "record key": (
        Allowance(
            reason="3: dead letters keep the original key, which is a random id",
            tables=((DELIVERY, "dead_letters"),),
            topics=("dead-letters",),
            places=("kafka/{name}/*",),
        ),
    ),
    "fed record": (
        Allowance(
            reason="3: LoginFed as a platform writes it; who refuses it repeats nothing", places=("kafka/logins/*",)
        ),
    ),
    "fed address": (Allowance(reason="3: context {ip, user_agent} of LoginFed goes no further", topics=("logins",)),),
    # Of the tests that ran before, and of the mutants.
    "contact of another test": NOWHERE,
    "mutant": NOWHERE,
}


def is_allowed(secret: Secret, place: str, form: str) -> bool:
    return any(each.covers(secret, place, form) for each in ALLOWED[secret.field])
