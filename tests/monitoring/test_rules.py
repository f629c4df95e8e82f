"""Rules and dashboard: what Prometheus says of them, what they name, and what the runbook says of each alert."""

import json
import re
import subprocess
from typing import Any

import pytest
import yaml

from deploy.local.paths import ROOT
from tests.monitoring.promql import faults, grouped, labels_of
from tests.programs import program

FOLDER = ROOT / "deploy" / "prometheus"
RULES = [rule for group in yaml.safe_load((FOLDER / "rules.yml").read_text())["groups"] for rule in group["rules"]]
RECORDED = [rule for rule in RULES if "record" in rule]
ALERTS = [rule for rule in RULES if "alert" in rule]
DASHBOARD = json.loads((ROOT / "deploy" / "grafana" / "gatepost.json").read_text())
KNOWN = labels_of(RECORDED)
PANELS = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()


def promtool(*arguments: str) -> str:
    tool = program("promtool", "prometheus")
    ran = subprocess.run([tool, *arguments], cwd=FOLDER, capture_output=True, text=True, check=False, timeout=120)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout + ran.stderr


def test_prometheus_takes_the_rules():
    assert f"{len(RULES)} rules found" in promtool("check", "rules", "--lint=all", "--lint-fatal", "rules.yml")


def test_prometheus_takes_the_configuration():
    assert "SUCCESS" in promtool("check", "config", "prometheus.yml")


def test_each_alert_fires_when_it_should_and_not_in_a_system_that_is_well():
    assert "SUCCESS" in promtool("test", "rules", "rules.test.yml")


def test_each_alert_is_tested_both_ways():
    cases = [
        case
        for test in yaml.safe_load((FOLDER / "rules.test.yml").read_text())["tests"]
        for case in test["alert_rule_test"]
    ]
    names = {alert["alert"] for alert in ALERTS}
    assert {case["alertname"] for case in cases if case["exp_alerts"]} == names
    assert {case["alertname"] for case in cases if not case["exp_alerts"]} == names


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule.get("alert") or rule["record"])
def test_a_rule_names_only_what_there_is(rule: dict[str, Any]):
    assert list(faults(rule["expr"], KNOWN)) == []


@pytest.mark.parametrize(("title", "target"), TARGETS, ids=[f"{title} {t['refId']}" for title, t in TARGETS])
def test_a_panel_names_only_what_there_is(title: str, target: dict[str, Any]):
    query = target["expr"]
    assert list(faults(query, KNOWN)) == []
    shown = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
    given = grouped(query) | {label for name in re.findall(r"gatepost:[\w:]+", query) for label in KNOWN[name]}
    assert shown <= given


@pytest.mark.parametrize(
    ("query", "fault"),
    [
        ("sum(gatepost_logins)", "gatepost_logins is no metric"),
        ('gatepost_logins_total{user="ada"}', "gatepost_logins_total has no label user"),
        ('gatepost_logins_total{result="sent"}', 'gatepost_logins_total is never result="sent"'),
        ("sum by (country) (gatepost_logins_total)", "country is no label of what is asked for"),
        ("sum(node_load1)", "node_load1 is no word of PromQL that is known here"),
        ("gatepost_send_seconds", "gatepost_send_seconds is no metric"),
    ],
)
def test_what_is_not_there_is_found(query: str, fault: str):
    assert list(faults(query, KNOWN)) == [fault]


@pytest.mark.parametrize("alert", ALERTS, ids=lambda alert: alert["alert"])
def test_the_runbook_says_what_to_do(alert: dict[str, Any]):
    name = alert["alert"]
    assert alert["labels"]["severity"] in ("page", "ticket")
    assert alert["annotations"]["runbook_url"].endswith(f"docs/runbook.md#{name.lower()}")
    section = re.search(rf"^## {name}\n(.*?)(?=^## |\Z)", RUNBOOK, re.M | re.S)
    assert section is not None
    assert all(f"**{part}.**" in section[1] for part in ("Means", "Look", "Do"))


def test_the_runbook_knows_no_alert_that_there_is_not():
    assert set(re.findall(r"^## (Gatepost\w+)$", RUNBOOK, re.M)) == {alert["alert"] for alert in ALERTS}


def test_a_panel_says_what_it_shows():
    assert all(panel["description"] and panel["title"] for panel in PANELS)
    titles = [panel["title"] for panel in DASHBOARD["panels"] if panel["type"] == "row"]
    assert titles == ["Is anybody waiting?", "Is it working?", "Is it safe?", "Is it in time?"]


def test_the_runbook_names_panels_and_sections_that_exist():
    operations = (ROOT / "docs" / "operations.md").read_text()
    anchors = {re.sub(r"[^\w\- ]", "", h.lower()).replace(" ", "-") for h in re.findall(r"^#+ (.+)$", operations, re.M)}
    assert set(re.findall(r"operations\.md#([\w-]+)", RUNBOOK)) <= anchors
    titles = {panel["title"] for panel in PANELS} | {"Forged", "keys", "clocks"}
    named = set(re.findall(r"(?<!\*)\*([A-Z][^*]+?|keys|clocks)\*(?!\*)", RUNBOOK)) - {"Clear all"}
    assert named <= {title.partition(",")[0] for title in titles}
