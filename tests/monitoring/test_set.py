"""The set of metrics is closed: declared in one file, described by a page that is made from it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.local.paths import ROOT
from deploy.monitoring.__main__ import outdated
from services.platform.metering import Metric, Shown
from services.platform.metrics import CLOSED

MAY_KNOW_THE_LIBRARY = {"services/platform/metering.py", "services/platform/http.py"}
DECLARES = "services/platform/metrics.py"
PERSONAL = {"account", "account_id", "user", "user_id", "login_id", "username", "email", "phone", "to", "address", "ip"}


def sources() -> Iterator[tuple[str, ast.Module]]:
    for folder in ("services", "schemas"):
        for path in sorted((ROOT / folder).rglob("*.py")):
            yield str(path.relative_to(ROOT)), ast.parse(path.read_text())


def test_page_and_dashboard_are_what_the_code_says():
    assert outdated() == []


def test_nobody_else_knows_the_library():
    assert {name for name, tree in sources() if "prometheus_client" in imported(tree)} == MAY_KNOW_THE_LIBRARY


def test_no_metric_is_declared_elsewhere():
    declaring = {
        name
        for name, tree in sources()
        for call in ast.walk(tree)
        if isinstance(call, ast.Call) and any("gatepost_" in text for text in texts(call))
        if getattr(call.func, "attr", None) in {"counter", "gauge", "histogram", "of_database"}
        or getattr(call.func, "id", None) in {"Counter", "Gauge", "Histogram", "Metric"}
    }
    assert declaring == {DECLARES}


def test_every_metric_is_used():
    """One that nobody moves would say 0 for ever."""
    tree = ast.parse((ROOT / DECLARES).read_text())
    names = {
        target.id
        for node in tree.body
        if isinstance(node, ast.AnnAssign) and isinstance(target := node.target, ast.Name)
    }
    text = "\n".join(p.read_text() for p in (ROOT / "services").rglob("*.py") if str(p.relative_to(ROOT)) != DECLARES)
    constants = {
        "CHANNELS",
        "CONSUMERS",
        "PROVIDER",
        "COUNTRY",
        "REASON",
        "LETTER",
        "TOPICS",
        "EVERY",
        "GATEWAY",
        "DELIVERY",
        "STORE",
    }
    assert {name for name in names - constants if not re.search(rf"\bmetrics\.{name}\b", text)} == set()


@pytest.mark.parametrize("metric", CLOSED.metrics, ids=lambda metric: metric.name)
def test_names_and_meanings_are_in_order(metric: Metric):
    assert re.fullmatch(r"gatepost_[a-z_]+", metric.name)
    assert (metric.kind == "counter") == metric.name.endswith("_total")
    assert (metric.unit == "seconds") == metric.name.endswith("_seconds")
    assert metric.meaning.endswith(".")
    assert (metric.kind == "gauge") or metric.across == "sum"
    assert not metric.labels.keys() & PERSONAL


def test_a_service_shows_its_own_metrics_only():
    shown = {family.name for family in Shown(CLOSED, "session-store").collect()}
    assert "gatepost_session_feed_age_seconds" in shown
    assert "gatepost_oldest_code_seconds" not in shown
    assert any(name.startswith("process_") for name in shown)


def test_what_has_a_closed_set_of_values_is_there_from_the_start():
    text = Shown(CLOSED, "gateway").text().decode()
    assert 'gatepost_guessing_alarms_total{scope="feed"}' in text


def imported(tree: ast.Module) -> set[str]:
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found.add((node.module or "").partition(".")[0])
    return found


def texts(call: ast.Call) -> Iterator[str]:
    yield from (arg.value for arg in call.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str))


def test_the_page_is_in_the_docs():
    assert Path(ROOT / "docs" / "metrics.md").read_text().count("| `gatepost_") == len(CLOSED.metrics)
