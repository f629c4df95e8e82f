"""The rules: each a pure function from the record of a run to what breaks it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from typing import Final, NamedTuple

from schemas.events import ExpireAll, LoginClosed, Verified
from tests.faults.records import Call, Record, Row

MOST_TRIES: Final = 5
MOST_WRONG_OF_A_USER: Final = 10
REACHES_EVERYBODY: Final = 3.0  # a feed may be current for 2 s without an answer, and behind for 1 s
ENDED: Final = frozenset({"sent", "delivered", "undelivered", "unknown", "failed", "expired", "cancelled"})


class Broken(NamedTuple):
    rule: str
    login_id: str | None
    says: str


Found = Iterator[tuple[str | None, str]]


def ends_once(record: Record) -> Found:
    """Every accepted login ends in exactly one `Verified` or `LoginClosed`, and its row says the same."""
    ends: dict[str, set[str]] = defaultdict(set)
    for told in record.events(Verified, LoginClosed):
        ends[str(told.event.login_id)].add(type(told.event).__name__)
    for login_id in record.accepted() | record.logins.keys():
        row = record.logins.get(login_id)
        if row is None:
            yield login_id, "it was accepted and has no row"
        elif ends[login_id] != {"Verified" if row["state"] == "verified" else "LoginClosed"}:
            yield login_id, f"it is {row['state']}, and its events are {sorted(ends[login_id])}"


def one_session(record: Record) -> Found:
    """At most one session per login, and none without its `Verified`."""
    secrets: dict[str, set[str]] = defaultdict(set)
    for told in record.events(Verified):
        secrets[str(told.event.login_id)].add(getattr(told.event, "secret_hash", ""))
    for login_id, hashes in secrets.items():
        if len(hashes) > 1:
            yield login_id, f"{len(hashes)} sessions were told"
    for login_id in record.sessions.keys() - secrets.keys():
        yield login_id, "there is a session that no event tells of"
    for login_id, tokens in _tokens(record).items():
        if len(tokens) > 1:
            yield login_id, f"{len(tokens)} tokens were given out"


def sessions_are_kept(record: Record) -> Found:
    """Who was told "signed in" has a session."""
    for login_id in _tokens(record).keys() - record.sessions.keys():
        yield login_id, "a token was given out and no session is kept"


def no_false_accept(record: Record) -> Found:
    """A code that was accepted is one that went out for this very login."""
    codes: dict[str, set[str]] = defaultdict(set)
    for sent in record.submissions:
        if sent.code is not None and (row := record.ledger.get(sent.ref)) is not None:
            codes[str(row["login_id"])].add(sent.code)
    for call in record.calls:
        if call.what == "verify" and call.status == 200 and call.code not in codes[str(call.login_id)]:
            yield call.login_id, "a code was accepted that never went out for it"


def try_caps(record: Record) -> Found:
    """Five tries per login, ten wrong codes per user in a quarter of an hour, and nothing after that."""
    wrong: Counter[str] = Counter()
    for login_id, calls in _verifies(record).items():
        left = [call.problem == "wrong-code" for call in calls]
        wrong[calls[0].who] += sum(left)
        if sum(left) >= MOST_TRIES:
            yield login_id, f"{sum(left)} wrong codes were answered with another try"
        row = record.logins.get(login_id)
        if row is not None and row["attempts"] > MOST_TRIES:
            yield login_id, f"{row['attempts']} tries were counted"
        if _accepted_after_the_last_try(calls):
            yield login_id, "a code was accepted after the last try"
    for who, count in wrong.items():
        if count > MOST_WRONG_OF_A_USER:
            yield None, f"{count} wrong codes of {who} were evaluated"


def submissions_are_bounded(record: Record) -> Found:
    """One submission per row and try, plus one per ambiguity."""
    made = Counter(sent.ref for sent in record.submissions)
    accepted = Counter(sent.ref for sent in record.submissions if sent.accepted)
    for ref, row in record.ledger.items():
        if made[ref] > row["tries"]:
            yield str(row["login_id"]), f"{made[ref]} submissions in {row['tries']} tries ({row['cause']})"
        if accepted[ref] > 1 + row["doubtful"]:
            yield str(row["login_id"]), f"taken {accepted[ref]} times, doubted {row['doubtful']} times ({row['cause']})"


def none_after_expiry(record: Record) -> Found:
    """No submission after `expires_at`."""
    for sent in record.submissions:
        row = record.ledger.get(sent.ref)
        if row is not None and sent.at > row["expires_at"].timestamp():
            late = sent.at - row["expires_at"].timestamp()
            yield str(row["login_id"]), f"{sent.channel} submitted {late * 1000:.0f} ms after its code expired"


def no_code_is_lost(record: Record) -> Found:
    """Every accepted login that needs a code has a row; each row ends, and one that says `sent` was taken."""
    taken = {sent.ref for sent in record.submissions if sent.arrived}
    for login_id in record.accepted():
        row = record.logins.get(login_id)
        if row is not None and row["channels"] and not record.rows_of(login_id):
            yield login_id, "delivery never heard of it"
    for ref, row in record.ledger.items():
        if row["state"] not in ENDED:
            yield str(row["login_id"]), f"its {row['channel']} is still {row['state']}"
        if row["state"] in ("sent", "delivered") and ref not in taken:
            yield str(row["login_id"]), f"its {row['channel']} is {row['state']} and nobody took it"


def none_below_a_floor(record: Record) -> Found:
    """No session below a floor is called active, once the floor had its time to reach everybody."""
    dead = _dead_since(record)
    for call in record.calls:
        if call.what != "introspect" or not call.body.get("active"):
            continue
        since = dead.get(str(call.login_id))
        if since is not None and call.at > since + REACHES_EVERYBODY:
            yield call.login_id, f"active {call.at - since:.1f} s after its floor was raised"


def offsets_only_rise(record: Record) -> Found:
    """Committed offsets never move back within a cluster id."""
    highest: dict[tuple[str, str, str, int], int] = {}
    for seen in sorted(record.offsets):
        place = seen[1:5]
        if seen.next_offset < highest.get(place, 0):
            yield None, f"{seen.group} {seen.topic}/{seen.partition} went from {highest[place]} to {seen.next_offset}"
        highest[place] = max(highest.get(place, 0), seen.next_offset)


def heals(record: Record) -> Found:
    """Within 30 s of the fault's end everything works and nothing waits any more."""
    if not record.faults:
        return
    end = max(moment.ended for moment in record.faults)
    if record.healed is None:
        yield None, "it never healed"
    elif record.healed - end > record.heal_within:
        yield None, f"it took {record.healed - end:.1f} s to heal"


RULES: Final[dict[str, Callable[[Record], Found]]] = {
    "ends-once": ends_once,
    "one-session": one_session,
    "sessions-are-kept": sessions_are_kept,
    "no-false-accept": no_false_accept,
    "try-caps": try_caps,
    "submissions-are-bounded": submissions_are_bounded,
    "none-after-expiry": none_after_expiry,
    "no-code-is-lost": no_code_is_lost,
    "none-below-a-floor": none_below_a_floor,
    "offsets-only-rise": offsets_only_rise,
    "heals": heals,
}


def check(record: Record) -> list[Broken]:
    return [Broken(name, *found) for name, rule in RULES.items() for found in rule(record)]


def _tokens(record: Record) -> dict[str, set[str]]:
    found: dict[str, set[str]] = defaultdict(set)
    for call in record.calls:
        if call.status == 200 and "token" in call.body and call.login_id:
            found[call.login_id].add(call.body["token"])
    return found


def _verifies(record: Record) -> dict[str, list[Call]]:
    found: dict[str, list[Call]] = defaultdict(list)
    for call in sorted(record.calls, key=lambda call: call.at):
        if call.what == "verify" and call.login_id:
            found[call.login_id].append(call)
    return found


def _accepted_after_the_last_try(calls: list[Call]) -> bool:
    spent = [call.ended for call in calls if call.body.get("reason") == "too-many-attempts"]
    return any(call.status == 200 and call.at > min(spent) for call in calls) if spent else False


def _dead_since(record: Record) -> dict[str, float]:
    """Sessions below a floor that a client was told is effective, and since when."""
    found: dict[str, float] = {}
    floors = [(told.event, told.event.floor) for told in record.events(ExpireAll) if isinstance(told.event, ExpireAll)]
    for session in record.events(Verified):
        verified = session.event
        if not isinstance(verified, Verified):
            continue
        for event, floor in floors:
            epoch = {verified.user_id: verified.user_epoch, verified.account_id: verified.account_epoch}
            if epoch.get(event.whose, floor) < floor and (since := _effective(record, event)) is not None:
                login_id = str(verified.login_id)
                found[login_id] = min(since, found.get(login_id, since))
    return found


def _effective(record: Record, event: ExpireAll) -> float | None:
    """When the call that raised this floor was answered `now`; else when everything had healed."""
    answered = [c for c in record.calls if c.what in ("expire-user", "expire-account") and c.who == event.whose]
    for call in answered:
        if call.at <= event.time.timestamp() <= call.ended and call.body.get("effective") == "now":
            return call.ended
    return record.healed


def story(record: Record, login_id: str | None) -> str:
    """Everything that is known of one login, in the order it happened."""
    lines = [(m.began, f"fault  {m.name} begins") for m in record.faults]
    lines += [(m.ended, f"fault  {m.name} ends") for m in record.faults]
    lines += [(c.at, f"client {c.what} by {c.who}: {_shown(c)}") for c in record.calls if c.login_id == login_id]
    refs = {str(row["id"]) for row in record.rows_of(login_id or "")}
    lines += [
        (s.at, f"inbox  {s.channel} {s.answered}, arrived={s.arrived}") for s in record.submissions if s.ref in refs
    ]
    lines += [
        (t.at, f"topic  {t.topic}/{t.partition}@{t.offset} {type(t.event).__name__}")
        for t in record.told
        if t.event.login_id == login_id
    ]
    lines += [(row["at"].timestamp(), f"ledger {_step(row)}") for row in record.log if str(row["login_id"]) == login_id]
    start = min((at for at, _ in lines), default=0.0)
    return "\n".join(f"  {at - start:8.3f}  {text}" for at, text in sorted(lines))


def _shown(call: Call) -> str:
    said = {key: call.body[key] for key in ("type", "reason", "active", "effective", "status") if key in call.body}
    return f"{call.status} {said} after {(call.ended - call.at) * 1000:.0f} ms"


def _step(row: Row) -> str:
    names = ("channel", "cause", "what", "provider", "reason", "ms")
    return " ".join(f"{name}={row[name]}" for name in names if row[name] is not None)


def report(record: Record, broken: list[Broken]) -> str:
    """The seed, what broke, and the timeline of the first login that each rule names."""
    lines = [f"seed {record.seed}: {len(broken)} broken, faults: {', '.join(m.name for m in record.faults) or 'none'}"]
    for rule in dict.fromkeys(b.rule for b in broken):
        of_rule = [b for b in broken if b.rule == rule]
        lines.append(f"{rule}: {len(of_rule)} times; first: {of_rule[0].says} (login {of_rule[0].login_id})")
        lines.append(story(record, of_rule[0].login_id))
    return "\n".join(lines)
