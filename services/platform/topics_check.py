"""A cluster beside what the code needs: what differs, what that means, and the commands that mend it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Final, Literal

import msgspec

from schemas.topics import CLIENTS, GROUPS, TOPICS, Topic, rights
from services.platform import acls
from services.platform.cluster import Cluster, Own, Placed, Rule

Level = Literal["wrong", "note"]
CONFIGS: Final = 'kafka-configs.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN" --alter --entity-type topics'
TOOL: Final = 'kafka-topics.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN"'
SERVICES: Final = tuple(GROUPS)
MANY: Final = 3
DAY_MS: Final = 86_400_000


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """`wrong` is mended before anybody relies on it; a `note` may be meant."""

    about: str
    what: str
    level: Level
    says: str
    mend: Sequence[str] = ()


def judged(found: Cluster, partitions: int, principals: Mapping[str, str]) -> list[Finding]:
    """`principals`: who somebody is to Kafka, where it is not `User:` and their own name."""
    of_topics = [each for topic in TOPICS for each in _topic(topic, found.topics.get(topic.name), partitions)]
    return [*of_topics, *_rights(found.rules, principals)]


def of_own(who: str, found: Own, principal: str) -> list[Finding]:
    """What a service lacks with the rights that it has itself: topics that it cannot see may be there all the same."""
    may, lacks = rights()[who], list[Finding]()
    for topic in sorted((may["write"] | may["read"]) - found.seen):
        says = f"does not exist, or {who} may not see it"
        create = ("gatepost topics create", *_granted(who, principal, topic))
        lacks.append(Finding(about=topic, what="missing", level="wrong", says=says, mend=create))
    for operation, named, has in (("Write", may["write"], found.write), ("Read", may["read"], found.read)):
        for topic in sorted((named & found.seen) - has):
            lacks.append(_lacks(who, principal, operation, topic))
    lacks += [_closed(who, principal, group) for group in sorted(found.closed_groups)]
    return lacks


def _topic(topic: Topic, placed: Placed | None, partitions: int) -> Iterator[Finding]:
    if placed is None:
        says = "is missing"
        yield Finding(about=topic.name, what="missing", level="wrong", says=says, mend=("gatepost topics create",))
        return
    yield from _partitions(topic, placed.partitions, partitions)
    if placed.settings is None:
        says = "its settings are not yours to see: this principal lacks DescribeConfigs on it"
        yield Finding(about=topic.name, what="settings", level="note", says=says)
        return
    yield from _kept(topic, placed.settings)
    yield from _sizes(topic, placed.settings)
    yield from _safety(topic, placed)


def _partitions(topic: Topic, there: int, meant: int) -> Iterator[Finding]:
    if topic.partitions == 1 and there != 1:
        says = f"has {there} partitions; only the first one is read, so clients would be unknown"
        mend = [f"{TOOL} --delete --topic {topic.name}", "gatepost topics create", "# then save each client once again"]
        yield Finding(about=topic.name, what="partitions", level="wrong", says=says, mend=mend)
    elif topic.partitions > 1 and there < meant:
        says = f"has {there} partitions, meant are {meant}: no more than {there} workers share the work"
        mend = [f"{TOOL} --alter --topic {topic.name} --partitions {meant}"]
        yield Finding(about=topic.name, what="partitions", level="note", says=says, mend=mend)


def _kept(topic: Topic, settings: Mapping[str, str]) -> Iterator[Finding]:
    """How long, and whether some of it goes before."""
    wanted = topic.settings()
    policy = settings.get("cleanup.policy", "")
    if policy != wanted["cleanup.policy"]:
        lost = "clients are forgotten" if topic is CLIENTS else "events with the same key are lost"
        says = f"cleanup.policy is {policy}, meant is {wanted['cleanup.policy']}: {lost}"
        yield _set(topic, "cleanup.policy", wanted["cleanup.policy"], says)
    if topic.retention_ms is None:
        return
    there = _number(settings, "retention.ms")
    if 0 <= there < topic.retention_ms:
        says = f"keeps events for {_time(there)}, meant are {_time(topic.retention_ms)}: who is away longer loses some"
        yield _set(topic, "retention.ms", topic.retention_ms, says)
    elif there != topic.retention_ms:
        longer = "for ever" if there < 0 else f"for {_time(there)}"
        says = f"keeps events {longer}, meant are {_time(topic.retention_ms)}: sealed contacts stay as long"
        yield _set(topic, "retention.ms", topic.retention_ms, says, "note")
    if _number(settings, "retention.bytes") >= 0:
        says = "retention.bytes is set: under load events go before their time"
        yield _set(topic, "retention.bytes", -1, says)


def _sizes(topic: Topic, settings: Mapping[str, str]) -> Iterator[Finding]:
    there = _number(settings, "max.message.bytes")
    if there < topic.max_message_bytes:
        says = f"takes records of {there} bytes, meant are {topic.max_message_bytes}: larger ones are parked"
        yield _set(topic, "max.message.bytes", topic.max_message_bytes, says)


def _safety(topic: Topic, placed: Placed) -> Iterator[Finding]:
    settings = placed.settings or {}
    least = _number(settings, "min.insync.replicas")
    if least > placed.replicas:
        says = f"min.insync.replicas is {least} of {placed.replicas} replicas: no record is taken"
        yield _set(topic, "min.insync.replicas", max(1, placed.replicas - 1), says)
    elif placed.replicas >= MANY and least < 2:
        says = "min.insync.replicas is 1: what one broker alone has taken is lost with it"
        yield _set(topic, "min.insync.replicas", 2, says)
    elif placed.replicas >= 2 and least == placed.replicas:
        says = f"min.insync.replicas is {least} of {placed.replicas} replicas: one broker away, and no record is taken"
        yield _set(topic, "min.insync.replicas", placed.replicas - 1, says, "note")
    if placed.replicas == 1:
        says = "has one replica: its events are lost with their broker, and wait while that is away"
        yield Finding(about=topic.name, what="replicas", level="note", says=says)
    if settings.get("unclean.leader.election.enable") == "true":
        says = "unclean.leader.election.enable is true: a broker that was away may take over without the newest events"
        yield _set(topic, "unclean.leader.election.enable", "false", says)


def _rights(rules: Sequence[Rule] | str | None, principals: Mapping[str, str]) -> Iterator[Finding]:
    if rules is None:
        says = "the cluster checks none: whoever reaches it may write to every topic (events of sessions are signed)"
        yield Finding(about="rights", what="rights", level="note", says=says)
        return
    if isinstance(rules, str):
        says = f"not yours to see ({rules}): ask as an administrator of Kafka, or as each service with --as"
        yield Finding(about="rights", what="rights", level="note", says=says)
        return
    known = rights()
    for who in (*SERVICES, *sorted(principals.keys() - set(SERVICES))):
        yield from _missing_rights(who, principals.get(who, f"User:{who}"), known[who], rules)
    yield from _strangers({who: principals.get(who, f"User:{who}") for who in known}, rules)


def _missing_rights(
    who: str, principal: str, may: Mapping[str, Iterable[str]], rules: Sequence[Rule]
) -> Iterator[Finding]:
    for operation, topics in (("Write", may["write"]), ("Read", may["read"])):
        for topic in sorted(topics):
            if not _allowed(rules, principal, operation, "topic", topic):
                yield _lacks(who, principal, operation, topic)
    for group in GROUPS.get(who, ()):
        if not _allowed(rules, principal, "Read", "group", group):
            yield _closed(who, principal, group)


def _allowed(rules: Sequence[Rule], principal: str, operation: str, kind: str, name: str) -> bool:
    mine = [
        rule
        for rule in rules
        if rule.principal in (principal, "User:*") and rule.operation in (operation, "All") and rule.covers(kind, name)
    ]
    return bool(mine) and all(rule.allows for rule in mine)


def _strangers(names: Mapping[str, str], rules: Sequence[Rule]) -> Iterator[Finding]:
    """Who may write what only our services should."""
    for topic in TOPICS:
        meant = {names[who] for who in topic.producers}
        for rule in rules:
            writes = rule.allows and rule.operation in ("Write", "All") and rule.covers("topic", topic.name)
            if writes and rule.principal not in meant:
                says = f"{rule.principal} may write to it, which only {' and '.join(topic.producers)} should"
                mend = acls.topics("--remove", rule.operation, rule.principal, [rule.name], rule.pattern)
                yield Finding(about=topic.name, what="stranger", level="wrong", says=says, mend=(mend,))


def _lacks(who: str, principal: str, operation: str, topic: str) -> Finding:
    verb = "write to" if operation == "Write" else "read"
    mend = acls.topics("--add", operation, principal, [topic])
    return Finding(about=topic, what="right", level="wrong", says=f"{who} may not {verb} it", mend=(mend,))


def _closed(who: str, principal: str, group: str) -> Finding:
    says = f"{who} may not join this consumer group"
    return Finding(about=group, what="right", level="wrong", says=says, mend=(acls.group(who, principal),))


def _granted(who: str, principal: str, topic: str) -> Iterator[str]:
    may = {what: names & {topic} for what, names in rights()[who].items()}
    return (line for line in acls.lines(who, principal, may) if "--topic" in line)


def _set(topic: Topic, name: str, value: object, says: str, level: Level = "wrong") -> Finding:
    mend = f"{CONFIGS} --entity-name {topic.name} --add-config {name}={value}"
    return Finding(about=topic.name, what=name, level=level, says=says, mend=(mend,))


def _number(settings: Mapping[str, str], name: str) -> int:
    """-1 where it is not set."""
    return int(settings.get(name) or -1)


def _time(milliseconds: int) -> str:
    days = milliseconds / DAY_MS
    return f"{days:g} days" if days >= 1 else f"{milliseconds / 3_600_000:.3g} hours"
