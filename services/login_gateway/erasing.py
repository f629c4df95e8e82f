"""Erasing a user: what is left of them afterwards, for how long, and why. Said to whoever erases one."""

from typing import Final

import msgspec


class Remains(msgspec.Struct, frozen=True):
    """Days count from the erasure; None: until somebody removes it."""

    what: str
    days: int | None
    why: str


REMAINS: Final = (
    Remains(
        "In Kafka: contacts that are sealed, in login-challenges and email-fallbacks",
        1,
        "A log is not rewritten. Only the ring `contacts` opens them.",
    ),
    Remains(
        "In Kafka: masked recipients, claims, a device's name, in delivery-outcomes and session-events; dead letters",
        7,
        "The same. Dead letters are sealed.",
    ),
    Remains(
        "Counts of messages to the phone and mailbox, under a keyed hash",
        1,
        "Else erasing and making a user again would be a way around the limits.",
    ),
    Remains(
        "At delivery: that messages were sent, when, by whom, to which country, what it cost; ids, no recipient",
        None,
        "Figures and bills. They go by age: GATEPOST_KEEP_DELIVERIES_DAYS, 30 by default.",
    ),
    Remains(
        "At delivery: dead letters under another key than the user's id, such as fed logins; sealed",
        None,
        "Nobody sees whose they are. They go by age: GATEPOST_KEEP_DEAD_LETTERS_DAYS, 30 by default.",
    ),
    Remains(
        "At gateway and delivery: events that Kafka refused for themselves; contacts are sealed",
        None,
        "Somebody is to look at them. They go by age: GATEPOST_KEEP_PARKED_DAYS, 30 by default.",
    ),
    Remains("The audit: what was done to the user, by whom, under an id", None, "Who did what stays provable."),
    Remains("A floor for the user's id at delivery and session store", None, "A late event must open nothing."),
    Remains("Backups of the databases", None, "They are yours: after restoring one, erase the user again."),
)
