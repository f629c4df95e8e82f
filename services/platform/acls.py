"""Kafka's rights as lines for its own tool."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import Final

START: Final = 'kafka-acls.sh --bootstrap-server "$KAFKA" --command-config "$ADMIN"'


def lines(who: str, principal: str, may: Mapping[str, Iterable[str]]) -> Iterator[str]:
    """What grants a principal all that it may. Consumer groups are named after who they belong to."""
    for operation, names in (("Write", may["write"]), ("Read", may["read"])):
        if names:
            yield topics("--add", operation, principal, names)
    if may["read"]:
        yield group(who, principal)


def topics(change: str, operation: str, principal: str, names: Iterable[str], pattern: str = "literal") -> str:
    named = " ".join(f"--topic {shlex.quote(name)}" for name in sorted(names))
    more = "" if pattern == "literal" else f" --resource-pattern-type {pattern}"
    return f"{_begun(change, principal)} --operation {operation} {named}{more}"


def group(who: str, principal: str) -> str:
    return f"{_begun('--add', principal)} --operation Read --group {who} --resource-pattern-type prefixed"


def _begun(change: str, principal: str) -> str:
    return f"{START} {change} --force --allow-principal {shlex.quote(principal)}"
