"""Debian's Prometheus beside a running system, and what it answers to a dashboard's queries."""

from __future__ import annotations

import math
import re
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import aiohttp
import yaml

from deploy.local.paths import ROOT
from deploy.local.processes import Child, Program
from deploy.local.stack import SERVICES, Stack
from tests.monitoring.drawing import Answers, Series
from tests.programs import program

RULES: Final = ROOT / "deploy" / "prometheus" / "rules.yml"
USUAL: Final = ROOT / "deploy" / "prometheus" / "prometheus.yml"
EVERY_SECONDS: Final = 2
WINDOW: Final = "20s"


@asynccontextmanager
async def prometheus(stack: Stack, folder: Path, port: int) -> AsyncIterator[str]:
    """Its address; it scrapes the system as deploy/prometheus/prometheus.yml says, only oftener."""
    tool, config = program("prometheus", "prometheus"), folder / "prometheus.yml"
    config.write_text(yaml.safe_dump(_config(stack)))
    at = f"127.0.0.1:{port}"
    command = [tool, f"--config.file={config}", f"--storage.tsdb.path={folder / 'data'}", f"--web.listen-address={at}"]
    child = Child(Program("prometheus", command, lambda: _answers(f"http://{at}/-/ready")), folder)
    try:
        await child.start()
        yield f"http://{at}"
    finally:
        await child.stop()


def _config(stack: Stack) -> dict[str, Any]:
    config: dict[str, Any] = yaml.safe_load(USUAL.read_text())
    config["global"] = {"scrape_interval": f"{EVERY_SECONDS}s", "evaluation_interval": f"{EVERY_SECONDS}s"}
    config["rule_files"] = [str(RULES)]
    for job in config["scrape_configs"]:
        service = job["job_name"].removeprefix("gatepost-")
        assert service in SERVICES
        job["static_configs"] = [{"targets": [stack.environment.url(service).removeprefix("http://")]}]
    return config


async def _answers(url: str) -> bool:
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        return answer.status == 200


async def answers(
    session: aiohttp.ClientSession, base: str, dashboard: Mapping[str, Any], span: tuple[float, float]
) -> Answers:
    found: dict[int, list[Series]] = {}
    for panel in dashboard["panels"]:
        for target in panel.get("targets", ()):
            found.setdefault(panel["id"], []).extend(await _asked(session, base, target, span))
    return found


async def _asked(
    session: aiohttp.ClientSession, base: str, target: Mapping[str, Any], span: tuple[float, float]
) -> Sequence[Series]:
    asked = {
        "query": target["expr"].replace("$__rate_interval", WINDOW),
        "start": str(span[0]),
        "end": str(span[1]),
        "step": str(EVERY_SECONDS),
    }
    async with session.get(f"{base}/api/v1/query_range", params=asked) as answer:
        said = await answer.json()
    assert said["status"] == "success", (target["expr"], said)
    return [Series(_name(target, one["metric"]), _points(one["values"])) for one in said["data"]["result"]]


def _name(target: Mapping[str, Any], labels: Mapping[str, str]) -> str:
    legend = "" if target["legendFormat"] == "__auto" else str(target["legendFormat"])
    return re.sub(r"\{\{(\w+)\}\}", lambda found: labels.get(found[1], ""), legend)


def _points(values: Sequence[tuple[float, str]]) -> list[tuple[float, float]]:
    return [(when, float(value)) for when, value in values if math.isfinite(float(value))]
