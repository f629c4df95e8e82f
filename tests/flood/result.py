"""What a flood left behind, and the rules that it must have kept: each a pure function to what breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, NamedTuple

from gatepost_client import Fed, Refused

SERVICES: Final = ("gateway", "delivery", "session-store")
TRIED: Final = frozenset({"sent", "delivered", "undelivered", "unknown"})


class Given(NamedTuple):
    """A login that is fed; `phone` where its user has a second factor."""

    reference: str
    user_id: str
    phone: str | None


class Death(NamedTuple):
    """A process that was killed: how many logins were open then, how many records of the topic were read, how many
    logins answered by HTTP; and how long until it did its work again.
    """

    service: str
    opened: int
    read: int
    answered: int
    back_seconds: float


Row = Mapping[str, Any]


@dataclass
class Flooded:
    """Rows are what Postgres holds at the end; `sent`: when codes were. `refused` counts by road and reason, `calls`
    by phone, as the provider saw them. `most_behind`: records of the topic that were not read, at the worst moment.
    `busy`: how often a login was sent by HTTP once more, since somebody was in its way.
    """

    by_topic: list[Given]
    by_http: list[Given]
    answers: list[Fed] = field(default_factory=list)
    logins: list[Row] = field(default_factory=list)
    messages: list[Row] = field(default_factory=list)
    sessions: list[str] = field(default_factory=list)
    sent: list[Row] = field(default_factory=list)
    refused: Counter[str] = field(default_factory=Counter)
    calls: Counter[str] = field(default_factory=Counter)
    deaths: list[Death] = field(default_factory=list)
    most_behind: int = 0
    busy: int = 0
    seconds: float = 0.0

    @property
    def given(self) -> dict[str, Given]:
        return {each.reference: each for each in (*self.by_topic, *self.by_http)}

    def lags(self, road: list[Given], other: list[Given]) -> list[float]:
        """Seconds from the password step, which is when it was handed over, until it was open: of one road's alone."""
        own = {each.reference for each in road} - {each.reference for each in other}
        rows = (row for row in self.logins if row["reference"] in own)
        return [(row["created_at"] - row["auth_time"]).total_seconds() for row in rows]

    def code_lags(self) -> list[float]:
        """Seconds from when a login was open until its code was sent."""
        opened = {row["login_id"]: row["created_at"] for row in self.logins}
        return [(row["at"] - opened[row["login_id"]]).total_seconds() for row in self.sent]


Found = Iterator[str]


def opened_once(flooded: Flooded) -> Found:
    """Every reference has one login, of its user, and there is no login without a reference."""
    given, times = flooded.given, Counter(row["reference"] for row in flooded.logins)
    for reference in given.keys() - times.keys():
        yield f"{reference} was not opened"
    for row in flooded.logins:
        reference = row["reference"]
        if reference not in given:
            yield f"login {row['login_id']} has the reference {reference}, which nobody fed"
        elif times[reference] > 1:
            yield f"{reference} was opened {times[reference]} times"
        elif str(row["user_id"]) != given[reference].user_id:
            yield f"{reference} was opened for another user"


def refused_none(flooded: Flooded) -> Found:
    for why, times in flooded.refused.items():
        yield f"{times} were refused: {why}"


def answered(flooded: Flooded) -> Found:
    """Each login of a batch by HTTP has one answer: the login that stands in the database, whichever road opened it."""
    opened = {row["reference"]: str(row["login_id"]) for row in flooded.logins}
    times = Counter(fed.reference for fed in flooded.answers)
    for each in flooded.by_http:
        if times[each.reference] != 1:
            yield f"{each.reference} was answered {times[each.reference]} times"
    for fed in flooded.answers:
        if not isinstance(fed.outcome, Refused) and fed.outcome.login_id != opened.get(fed.reference):
            yield f"{fed.reference} was answered with another login than it has"


def one_session(flooded: Flooded) -> Found:
    """Who has no second factor is signed in, and nobody else has a session."""
    given = flooded.given
    plain = {str(row["login_id"]) for row in flooded.logins if _phone_of(row, given) is None}
    times = Counter(flooded.sessions)
    for row in flooded.logins:
        if row["state"] != ("pending" if _phone_of(row, given) else "verified"):
            yield f"{row['reference']} is {row['state']}"
    for login_id in plain | times.keys():
        if times[login_id] != (login_id in plain):
            yield f"login {login_id} has {times[login_id]} sessions"


def one_message(flooded: Flooded) -> Found:
    """Who has a second factor has one message of the login. The provider has no call more than doubts explain; where it
    has none, since a worker died before it made one, the code went by e-mail.
    """
    given, messages = flooded.given, defaultdict[str, dict[str, list[Row]]](lambda: defaultdict(list))
    for row in flooded.messages:
        messages[str(row["login_id"])][row["cause"]].append(row)
    for login in flooded.logins:
        phone, found = _phone_of(login, given), messages.pop(str(login["login_id"]), defaultdict(list))
        if len(found["login"]) != (phone is not None):
            yield f"{login['reference']} has {len(found['login'])} messages of its login"
        elif phone is not None:
            yield from _called(login["reference"], found, flooded.calls[phone])
    for login_id in messages:
        yield f"there is a message of the login {login_id}, which there is not"


def _called(reference: str, messages: Mapping[str, list[Row]], times: int) -> Found:
    (sms,) = messages["login"]
    by_email = [row for row in messages["fallback:login"] if row["state"] in TRIED]
    if sms["state"] not in TRIED:
        yield f"the message of {reference} is {sms['state']}"
    elif times > 1 + sms["doubtful"]:
        yield f"the provider was called {times} times for {reference}, doubted {sms['doubtful']} times"
    elif not times and not (sms["state"] == "unknown" and by_email):
        yield f"the provider was not called for {reference}, whose message is {sms['state']}"


def died_in_the_middle(flooded: Flooded) -> Found:
    """Each process once, while logins were being opened; the gateway, while both roads were under way."""
    if [death.service for death in flooded.deaths] != list(SERVICES):
        yield f"killed were {[death.service for death in flooded.deaths]}"
    for death in flooded.deaths:
        if not 0 < death.opened < len(flooded.given):
            yield f"{death.service} died when {death.opened} of {len(flooded.given)} were open"
        if death.service == "gateway" and not 0 < death.answered < len(flooded.by_http):
            yield f"the gateway died when {death.answered} of {len(flooded.by_http)} were answered by HTTP"
        if death.service == "gateway" and not 0 < death.read < len(flooded.by_topic):
            yield f"the gateway died when {death.read} of {len(flooded.by_topic)} records were read"


RULES: Final[tuple[Callable[[Flooded], Found], ...]] = (
    opened_once,
    refused_none,
    answered,
    one_session,
    one_message,
    died_in_the_middle,
)


def broken(flooded: Flooded) -> dict[str, list[str]]:
    """What breaks each rule that is broken."""
    found = {rule.__name__: list(rule(flooded)) for rule in RULES}
    return {name: every for name, every in found.items() if every}


def report(found: Mapping[str, list[str]]) -> str:
    return "\n".join(f"{name}: {len(every)} times; first: {every[0]}" for name, every in found.items())


def _phone_of(row: Row, given: Mapping[str, Given]) -> str | None:
    one = given.get(row["reference"])
    return one.phone if one is not None else None
