"""The panels as Grafana's JSON. It names no server: the data source is chosen where it is imported."""

import json
from collections.abc import Iterator
from typing import Any, Final

from deploy.monitoring.panels import ROWS, Panel

SOURCE: Final = {"type": "prometheus", "uid": "${datasource}"}
WIDE: Final = 24
FIGURE: Final = (6, 4)
CURVES: Final = (8, 8)


def written() -> str:
    return json.dumps(made(), indent=1, ensure_ascii=False) + "\n"


def made() -> dict[str, Any]:
    return {
        "uid": "gatepost",
        "title": "Gatepost",
        "description": "The four questions of whoever runs it. What each metric means: docs/metrics.md",
        "tags": ["gatepost"],
        "schemaVersion": 39,
        "editable": True,
        "refresh": "10s",
        "time": {"from": "now-1h", "to": "now"},
        "timezone": "utc",
        "templating": {
            "list": [{"name": "datasource", "label": "Prometheus", "type": "datasource", "query": "prometheus"}]
        },
        "annotations": {"list": [_alerts()]},
        "panels": [{**panel, "id": number} for number, panel in enumerate(_panels(), 1)],
    }


def _alerts() -> dict[str, Any]:
    return {
        "name": "Alerts",
        "datasource": SOURCE,
        "enable": True,
        "iconColor": "red",
        "expr": 'ALERTS{alertname=~"Gatepost.*", alertstate="firing"}',
        "titleFormat": "{{alertname}}",
    }


def _panels() -> Iterator[dict[str, Any]]:
    y = 0
    for row in ROWS:
        yield {"type": "row", "title": row.title, "collapsed": False, "gridPos": _place(0, y, WIDE, 1), "panels": []}
        y += 1
        for look, (wide, high) in (("figure", FIGURE), ("curves", CURVES)):
            x = 0
            some = [panel for panel in row.panels if panel.look == look]
            for panel in some:
                if x + wide > WIDE:
                    x, y = 0, y + high
                yield {**_panel(panel), "gridPos": _place(x, y, wide, high)}
                x += wide
            y += high if some else 0


def _place(x: int, y: int, wide: int, high: int) -> dict[str, int]:
    return {"x": x, "y": y, "w": wide, "h": high}


def _panel(panel: Panel) -> dict[str, Any]:
    defaults: dict[str, Any] = {"unit": panel.unit, "min": 0, "noValue": "none"}
    if panel.limits is not None:
        defaults |= {"thresholds": _thresholds(*panel.limits), "color": {"mode": "thresholds"}}
    return {
        "type": "stat" if panel.look == "figure" else "timeseries",
        "title": panel.title,
        "description": panel.meaning,
        "datasource": SOURCE,
        "fieldConfig": {"defaults": defaults, "overrides": []},
        "options": _options(panel),
        "targets": [_target(letter, *query) for letter, query in zip("ABCDEF", panel.queries, strict=False)],
    }


def _thresholds(yellow: float, red: float) -> dict[str, Any]:
    rising = [("green", None), ("yellow", yellow), ("red", red)]
    falling = [("red", None), ("yellow", red), ("green", yellow)]
    steps = falling if red < yellow else rising if yellow < red else [rising[0], rising[2]]
    return {"mode": "absolute", "steps": [{"color": colour, "value": value} for colour, value in steps]}


def _options(panel: Panel) -> dict[str, Any]:
    if panel.look == "figure":
        calculated = {"calcs": ["lastNotNull"], "values": False, "fields": ""}
        return {"reduceOptions": calculated, "colorMode": "background", "graphMode": "area", "textMode": "auto"}
    return {"legend": {"displayMode": "list", "placement": "bottom"}, "tooltip": {"mode": "multi", "sort": "desc"}}


def _target(letter: str, legend: str, query: str) -> dict[str, Any]:
    return {"refId": letter, "datasource": SOURCE, "expr": query, "legendFormat": legend or "__auto", "range": True}
