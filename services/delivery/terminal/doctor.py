"""What `gatepost doctor` judges: plain rules over what was heard from outside, each with its section of the guide."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final, NamedTuple

from services.delivery.terminal.doctor_delivery import OF_DELIVERY
from services.delivery.terminal.findings import (
    IN_TIME,
    MANY,
    SAFE,
    WAITING,
    WORKING,
    Line,
    Status,
    counted,
    labelled,
    level,
    percentile,
)

SERVICES: Final = ("gateway", "delivery", "session_store")


class Answer(NamedTuple):
    """One service's /readyz, /metrics and clock. `trouble`: why it gave none, in words."""

    address: str
    ready: bool = False
    said: Mapping[str, Any] = {}
    metrics: str = ""
    clock_seconds: float | None = None
    trouble: str | None = None


class Heard(NamedTuple):
    """Everything that was asked. `health` is delivery's reading, or why there is none. `topics`: missing ones of Kafka,
    why it could not be asked, or None: nobody asked it from here.
    """

    services: Mapping[str, Answer]
    health: Mapping[str, Any] | str
    topics: list[str] | str | None


def judged(heard: Heard) -> list[Line]:
    """In the order of the page."""
    health = heard.health if not isinstance(heard.health, str) else None
    lines = [*_services(heard), *_reachable(heard)]
    if health is not None:
        lines += [line for rule in OF_DELIVERY for line in rule(health)]
    lines += [line for rule in OF_ALL for line in rule(heard)]
    order = (WAITING, WORKING, SAFE, IN_TIME)
    return sorted(lines, key=lambda line: order.index(line.question))


def _services(heard: Heard) -> Iterator[Line]:
    for name, answer in heard.services.items():
        if answer.trouble:
            do = f"Start it (`gatepost serve {name.replace('_', '-')}`), or correct its address."
            yield Line(WORKING, name, Status.FAIL, answer.trouble, do, "a-service-is-away")
        elif not answer.ready:
            reason = str(answer.said.get("reason", "not ready"))
            yield Line(WORKING, name, Status.FAIL, reason, "See its log.", "a-service-is-away")
        else:
            yield Line(WORKING, name, Status.OK, f"ready at {answer.address}", "", "a-service-is-away")


def _reachable(heard: Heard) -> Iterator[Line]:
    if isinstance(heard.health, str):
        yield Line(WAITING, "deliveries", Status.FAIL, heard.health, "Without it nobody knows.", "a-service-is-away")


def _outboxes(heard: Heard) -> Iterator[Line]:
    found: dict[str, Any] = {"gateway": heard.services["gateway"].said.get("outbox")}
    if not isinstance(heard.health, str):
        found["delivery"] = heard.health["outbox"]
    for name, outbox in found.items():
        if outbox is None:
            continue
        oldest, waiting = outbox["oldest_seconds"], outbox["waiting"]
        figure = f"{counted(waiting, 'event')}, the oldest for {oldest:.0f} s" if waiting else "empty"
        do = "Kafka does not take them: see whether it answers."
        yield Line(WAITING, f"{name}'s outbox", level(oldest, 5, 60), figure, do, "events-wait-for-kafka")
        if outbox["parked"]:
            figure = f"{counted(outbox['parked'], 'event')} that Kafka refuses"
            yield Line(
                WAITING, f"{name}'s parked", Status.WARN, figure, "See event_parked in its log.", "parked-events"
            )


def _kafka(heard: Heard) -> Iterator[Line]:
    section = "kafka-is-away-or-behind"
    match heard.topics:
        case None:
            pass
        case str() as trouble:
            yield Line(WORKING, "kafka", Status.FAIL, trouble, "See the brokers, and GATEPOST_KAFKA….", section)
        case []:
            yield Line(WORKING, "kafka", Status.OK, "answers and has every topic", "", section)
        case missing:
            yield Line(
                WORKING, "kafka", Status.FAIL, f"lacks {', '.join(missing)}", "`gatepost topics create`.", section
            )
    if not isinstance(heard.health, str):
        kafka = heard.health["kafka"]
        answered = kafka["answered_seconds"]
        figure = f"{counted(kafka['lag'], 'record')} behind, " + (
            "no answer yet" if answered is None else f"heard {answered} s ago"
        )
        status = max(level(kafka["lag"], 500), level(answered or 0, 10, 30), key=list(Status).index)
        yield Line(WORKING, "delivery's lag", status, figure, "See the brokers, then delivery's log.", section)


def _keys(heard: Heard) -> Iterator[Line]:
    """What two services hold has the same ids in both, or a new key is on its way. The code key moves on by itself."""
    known: dict[str, dict[str, list[int]]] = {}
    for name, answer in heard.services.items():
        for purpose, ids in answer.said.get("keys", {}).items():
            if purpose != "code":
                known.setdefault(purpose.removesuffix(".pub"), {})[name] = ids
    if not known:
        return
    apart = sorted(purpose for purpose, by in known.items() if len({tuple(ids) for ids in by.values()}) > 1)
    figure = f"not the same everywhere: {', '.join(apart)}" if apart else f"{len(known)} purposes, the same everywhere"
    do = "Copy the keyring files to every service before one is made active."
    yield Line(SAFE, "keys", Status.WARN if apart else Status.OK, figure, do, "keys-differ")


def _migrations(heard: Heard) -> Iterator[Line]:
    found = {name: answer.said.get("migrations") for name, answer in heard.services.items()}
    if not isinstance(heard.health, str):
        found["delivery"] = heard.health["migrations"]
    known = {name: names for name, names in found.items() if names is not None}
    if not known:
        return
    pending = {name: names for name, names in known.items() if names}
    figure = "; ".join(f"{name}: {', '.join(names)}" for name, names in pending.items()) or "all are applied"
    do = "`gatepost migrate` of that service, with the owner's DSN."
    yield Line(SAFE, "migrations", Status.FAIL if pending else Status.OK, figure, do, "migrations-are-pending")


def _forged(heard: Heard) -> Iterator[Line]:
    kinds: dict[str, float] = {}
    for answer in heard.services.values():
        for kind, count in labelled(answer.metrics, "gatepost_forged_total", "kind"):
            kinds[kind] = kinds.get(kind, 0) + count
    if not any(answer.metrics for answer in heard.services.values()):
        return
    count = sum(kinds.values())
    figure = ", ".join(f"{number:.0f} {kind}" for kind, number in sorted(kinds.items()) if number) or "none"
    figure += " since the services started"
    inside = sum(kinds.get(kind, 0) for kind in ("challenge", "session-event", "client-event"))
    do = "Who can write to Kafka?" if inside else "See the addresses in the access log of your proxy."
    yield Line(
        SAFE, "forgeries", level(inside, 1, 1) if inside else level(count, 100), figure, do, "something-was-forged"
    )


def _guessing(heard: Heard) -> Iterator[Line]:
    if not (text := heard.services["gateway"].metrics):
        return
    alarms = sum(count for _, count in labelled(text, "gatepost_guessing_alarms_total", "scope"))
    locked = sum(n for kind, n in labelled(text, "gatepost_logins_total", "result") if kind == "too-many-attempts")
    figure = f"{alarms:.0f} alarms, {locked:.0f} sign-ins refused for too many attempts, since the gateway started"
    do = "See GET /metrics of the gateway, and the audit; `gatepost clients resume-feed` resumes a stopped feed."
    yield Line(SAFE, "guessing", level(alarms, 1), figure, do, "somebody-guesses-codes")


def _clocks(heard: Heard) -> Iterator[Line]:
    apart = {name: a.clock_seconds for name, a in heard.services.items() if a.clock_seconds is not None}
    if not isinstance(heard.health, str):
        apart["delivery's database"] = heard.health["clock_ahead_ms"] / -1000
    if not apart:
        return
    name, worst = max(apart.items(), key=lambda one: abs(one[1]))
    figure = f"{name} differs most, by {abs(worst):.1f} s"
    yield Line(IN_TIME, "clocks", level(abs(worst), 2, 5), figure, "Set the clock there (NTP).", "clocks-differ")


def _speed(heard: Heard) -> Iterator[Line]:
    buckets = list(labelled(heard.services["delivery"].metrics, "gatepost_login_to_call_seconds_bucket", "le"))
    if buckets and (within := percentile(buckets, 0.95)) is not None:
        figure = f"95 % of first calls within {within:g} s of the login, since delivery started"
        calls = sum(count for end, count in buckets if end == "+Inf")
        status = level(within, 5, 30) if calls >= MANY else Status.OK
        do = "See delivery's lag, its slots and the database."
        yield Line(IN_TIME, "login to call", status, figure, do, "codes-leave-late")
    store = heard.services["session_store"]
    if "feed" in store.said:
        current = store.said["feed"] == "current"
        do = "It catches up by itself; if it lasts, see its log and Kafka."
        status = Status.OK if current else Status.WARN
        yield Line(IN_TIME, "session store", status, str(store.said["feed"]), do, "the-session-store-is-behind")


OF_ALL: Final[tuple[Callable[[Heard], Iterator[Line]], ...]] = (
    _outboxes,
    _kafka,
    _keys,
    _migrations,
    _forged,
    _guessing,
    _clocks,
    _speed,
)
