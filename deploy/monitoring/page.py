"""docs/metrics.md: what each metric means, by the question that it answers."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Final

from services.platform.metering import Across, Metric, Question
from services.platform.metrics import CLOSED

HEADINGS: Final[Mapping[Question, str]] = {
    "waiting": "Is anybody waiting?",
    "working": "Is it working?",
    "safe": "Is it safe?",
    "in time": "Is it in time?",
}
PROCESSES: Final[Mapping[Across, str]] = {"sum": "add up", "max": "take the max", "each": "look at each"}
INTRODUCTION: Final = """# Metrics

Made by `python -m deploy.monitoring` from `services/platform/metrics.py`, which holds every metric there is. Each
service shows its own at `/metrics` in Prometheus' text format, without credentials, beside those of its process
(`process_…`, `python_…`). No label holds an id, a contact or a username.

**Several processes.** Scrape each of them; of [workers on one port](operations.md#several-processes) whichever answers
tells of all, each by the label `worker`. Counters and histograms count what that process did: add up their rates.
What is read from the database is the same in each process of a service: take the max, or you count it twice. Such a
gauge is read when somebody scrapes, at most every two seconds, by a statement that stops at 10,000 rows; while the
database is away it has no number (`NaN`), and `gatepost_database_up` is 0.

A ready dashboard is [deploy/grafana/gatepost.json](../deploy/grafana/gatepost.json), ready alerts are
[deploy/prometheus/rules.yml](../deploy/prometheus/rules.yml); what to do about one is in the [runbook](runbook.md).
"""


def written() -> str:
    return "\n".join([INTRODUCTION, *_sections()])


def _sections() -> Iterator[str]:
    for question, heading in HEADINGS.items():
        rows = [_row(metric) for metric in CLOSED.metrics if metric.question == question]
        head = "| metric | kind, unit | of | processes | meaning |\n|---|---|---|---|---|"
        yield f"## {heading}\n\n{head}\n" + "\n".join(rows) + "\n"


def _row(metric: Metric) -> str:
    services = "all" if len(metric.services) == len({s for m in CLOSED.metrics for s in m.services}) else ""
    of = services or ", ".join(metric.services)
    meaning = " ".join([metric.meaning, *_labels(metric)])
    return f"| `{metric.name}` | {metric.kind}, {metric.unit} | {of} | {PROCESSES[metric.across]} | {meaning} |"


def _labels(metric: Metric) -> Iterator[str]:
    for name, held in metric.labels.items():
        yield f"<br>`{name}`: {_listed(held) if isinstance(held, tuple) else held}."


def _listed(values: Iterable[str]) -> str:
    return ", ".join(f"`{value}`" for value in values)
