"""Enough of PromQL to say which metrics, labels and values a query names."""

import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from services.platform.metrics import CLOSED

SERIES: Final = re.compile(r"\b(gatepost[\w:]*|up|ALERTS)\b\s*(?:\{([^}]*)\})?")
LABEL: Final = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
GROUPED: Final = re.compile(r"\b(?:by|on|without|ignoring)\s*\(([^)]*)\)")
TEXT: Final = re.compile(r'"[^"]*"')
WORD: Final = re.compile(r"[A-Za-z_]\w*")
OPERATORS: Final = {"by", "on", "and", "or", "offset"}
FUNCTIONS: Final = {
    "absent",
    "avg_over_time",
    "histogram_quantile",
    "increase",
    "label_replace",
    "min_over_time",
    "rate",
}
WORDS: Final = OPERATORS | FUNCTIONS | {"sum", "min", "max", "topk"}
OF_THE_TARGET: Final = {"job", "instance", "worker"}
OTHERS: Final[Mapping[str, set[str]]] = {"up": OF_THE_TARGET, "ALERTS": {"alertname", "alertstate", "severity"}}


def labels_of(recorded: Iterable[Mapping[str, Any]]) -> dict[str, Mapping[str, Any]]:
    """Each series that there is, with its labels and what they may hold."""
    found: dict[str, Mapping[str, Any]] = {name: dict.fromkeys(labels) for name, labels in OTHERS.items()}
    for metric in CLOSED.metrics:
        own = {**metric.labels, **dict.fromkeys(OF_THE_TARGET)}
        if metric.kind == "histogram":
            found |= {metric.name + end: own for end in ("_count", "_sum")}
            found[metric.name + "_bucket"] = {**own, "le": None}
        else:
            found[metric.name] = own
    for rule in recorded:
        found[rule["record"]] = dict.fromkeys(grouped(rule["expr"]))
    return found


def grouped(query: str) -> set[str]:
    return {name.strip() for names in GROUPED.findall(query) for name in names.split(",")} - {""}


def faults(query: str, known: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    """What in the query names nothing that there is."""
    labels: set[str] = set()
    for name, selected in SERIES.findall(query):
        if name not in known:
            yield f"{name} is no metric"
            continue
        labels |= known[name].keys()
        for label, how, value in LABEL.findall(selected):
            yield from _selected(name, label, value.split("|") if "~" in how else [value], known[name])
    for label in grouped(query) - labels:
        yield f"{label} is no label of what is asked for"
    bare = TEXT.sub("", GROUPED.sub("by", SERIES.sub("", query)))
    for word in set(WORD.findall(re.sub(r"\[[^]]*\]|\b\d+[smhd]\b", "", bare))) - WORDS:
        yield f"{word} is no word of PromQL that is known here"


def _selected(name: str, label: str, values: Iterable[str], known: Mapping[str, Any]) -> Iterator[str]:
    if label not in known:
        yield f"{name} has no label {label}"
    elif known[label] and isinstance(known[label], tuple):
        yield from (f'{name} is never {label}="{value}"' for value in values if value not in known[label])
