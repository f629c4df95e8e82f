"""What is told of a login's steps, of which logins, and that no word is told that is not of the closed sets."""

import ast
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from typing import get_args
from uuid import UUID

import pytest

from deploy.local.paths import ROOT
from services.platform import otlp
from services.platform.clock import new_id
from services.platform.tracing import HEADER, About, Place, Step, Told, Traces, called_by, place_in, root_of

LOGIN = UUID("01a2172e-4858-7592-bf43-5280c93f0b3f")
CALLERS = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


class Kept:
    """A sink that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[Told] = []
        self.ended_within: float | None = None

    def add(self, told: Told) -> None:
        self.told.append(told)

    def end(self, seconds: float) -> None:
        self.ended_within = seconds


def of_all() -> tuple[Traces, Kept]:
    traces, kept = Traces(), Kept()
    traces.begin(kept, 1)
    return traces, kept


@pytest.fixture(autouse=True)
def _nobody_calls() -> Iterator[None]:
    yield
    called_by(None)


def test_a_step_ended_when_it_ended_and_not_when_it_was_told():
    traces, kept = of_all()
    before = time.time_ns()
    traces.tell("send", LOGIN, 2.0, ago=30.0, channel="sms", tries=1)
    after = time.time_ns()
    (told,) = kept.told
    assert before - 30e9 <= told.ended <= after - 30e9
    assert told.ended - told.began == 2_000_000_000
    assert (told.step, told.login_id, told.failed, told.about) == ("send", LOGIN, False, {"channel": "sms", "tries": 1})


def test_a_clock_that_steps_back_makes_no_step_that_ends_before_it_began():
    traces, kept = of_all()
    traces.tell("take", LOGIN, -0.5)
    assert kept.told[0].began == kept.told[0].ended


def test_a_record_names_the_trace_and_the_first_step_of_its_login():
    traces, _ = of_all()
    header = traces.header(LOGIN)
    assert header == f"00-01a2172e48587592bf435280c93f0b3f-{root_of(LOGIN):016x}-01".encode()
    assert place_in(header.decode()) == Place(LOGIN.int, root_of(LOGIN))
    assert root_of(LOGIN) != root_of(UUID(int=LOGIN.int + 1))


def test_before_it_begins_and_after_it_ends_nothing_is_told():
    traces, kept = Traces(), Kept()
    traces.tell("login", LOGIN, 1.0)
    traces.begin(kept, 1)
    traces.end()
    traces.tell("login", LOGIN, 1.0)
    assert (kept.told, kept.ended_within, traces.header(LOGIN), traces.on) == ([], 2.0, None, False)


def taken(share: float, logins: list[UUID]) -> set[UUID]:
    traces = Traces()
    traces.begin(Kept(), share)
    return {login for login in logins if traces.takes(login)}


def test_a_share_is_of_logins_and_not_of_moments():
    """Logins of one millisecond share all but their last bits: they must not share the decision too."""
    logins = [new_id() for _ in range(4000)]
    quarter = taken(0.25, logins)
    assert 0.2 < len(quarter) / len(logins) < 0.3
    moments: dict[int, set[bool]] = {}
    for login in logins:
        moments.setdefault(login.int >> 80, set()).add(login in quarter)
    assert {True, False} in moments.values()


def test_a_larger_share_takes_the_same_logins_and_more():
    logins = [new_id() for _ in range(1000)]
    assert taken(0.1, logins) < taken(0.5, logins) < taken(1, logins) == set(logins)
    assert taken(0, logins) == set()


def test_a_caller_is_named_by_what_it_called_for_and_by_nothing_else():
    traces, kept = of_all()
    called_by(CALLERS)
    for step in get_args(Step):
        traces.tell(step, LOGIN, 0.1)
    named = {told.step: told.caller for told in kept.told if told.caller is not None}
    caller = Place(0x4BF92F3577B34DA6A3CE929D0E0E4736, 0x00F067AA0BA902B7)
    assert named == {"login": caller, "verify": caller}
    assert {told.login_id for told in kept.told} == {LOGIN}


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "somebody@example.com",
        CALLERS.upper(),
        "ff" + CALLERS[2:],
        CALLERS + "-00",
        CALLERS + "\n",
        "00-" + "0" * 32 + "-00f067aa0ba902b7-01",
        "00-4bf92f3577b34da6a3ce929d0e0e4736-" + "0" * 16 + "-01",
    ],
)
def test_what_is_no_trace_context_is_no_caller(header: str | None):
    traces, kept = of_all()
    called_by(CALLERS)
    called_by(header)
    traces.tell("login", LOGIN, 0.1)
    assert kept.told[0].caller is None


def calls() -> Iterator[tuple[str, ast.Call]]:
    for path in sorted((ROOT / "services").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Call) and ast.unparse(node.func) == "TRACES.tell":
                yield str(path.relative_to(ROOT)), node


def test_every_step_is_told_somewhere_and_by_its_own_word():
    told = {name: ast.literal_eval(call.args[0]) for name, call in calls()}
    assert set(told.values()) == set(get_args(Step))


def table(title: str) -> list[list[str]]:
    """The rows of the table of docs/operations.md that begins with this column."""
    text = (ROOT / "docs" / "operations.md").read_text()
    (rows,) = re.findall(rf"^\| {title} \|.*\n\|[-|]+\|\n((?:\|.*\n)+)", text, re.M)
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in rows.splitlines()]


def test_the_page_names_every_step_and_every_attribute():
    assert [row[0].strip("`") for row in table("span")] == list(get_args(Step))
    named = [name for row in table("attribute") for name in re.findall(r"`gatepost\.([a-z_]+)`", row[0])]
    assert sorted(named) == sorted({*About.__annotations__, "login_id"})


def test_services_know_nothing_of_opentelemetry_while_traces_are_off():
    say = """
import sys
import services.delivery.__main__, services.login_gateway.__main__, services.session_store.__main__
from services.platform.tracing import running
with running("gateway", 0.0):
    print(sorted(name for name in sys.modules if name.startswith(("opentelemetry", "google", "requests"))))
"""
    done = subprocess.run([sys.executable, "-c", say], capture_output=True, text=True, check=True, cwd=ROOT)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize(
    ("environ", "told"),
    [
        ({}, []),
        ({"ENDPOINT": "https://collector.example:4318/"}, []),
        ({"ENDPOINT": ""}, ["ENDPOINT"]),
        ({"ENDPOINT": "collector:4318"}, ["ENDPOINT"]),
        ({"ENDPOINT": "http://collector:99999"}, ["ENDPOINT"]),
        ({"ENDPOINT": "https://me:secret@collector.example"}, ["ENDPOINT"]),
        ({"ENDPOINT": "https://a.example", "TRACES_ENDPOINT": "ftp://a.example"}, ["TRACES_ENDPOINT"]),
        ({"PROTOCOL": "http/protobuf", "COMPRESSION": "gzip", "TIMEOUT": "2.5"}, []),
        ({"PROTOCOL": "grpc"}, ["PROTOCOL"]),
        ({"COMPRESSION": "zstd"}, ["COMPRESSION"]),
        ({"TIMEOUT": "10s"}, ["TIMEOUT"]),
        ({"TRACES_TIMEOUT": "10000"}, ["TRACES_TIMEOUT"]),
        ({"HEADERS": "api-key=s3cret,x-team=a%20b"}, []),
        ({"HEADERS": "s3cret"}, ["HEADERS"]),
        ({"CERTIFICATE": "/no/such.pem"}, ["CERTIFICATE"]),
        ({"CERTIFICATE": __file__}, ["CERTIFICATE"]),
        ({"CLIENT_CERTIFICATE": __file__}, ["CLIENT_CERTIFICATE"]),
        ({"CLIENT_KEY": __file__}, ["CLIENT_KEY"]),
    ],
)
def test_a_variable_that_nothing_can_be_sent_with_is_named_and_no_secret_is(environ: dict[str, str], told: list[str]):
    faults = otlp.faults({f"OTEL_EXPORTER_OTLP_{name}": value for name, value in environ.items()})
    assert [line.partition(":")[0].removeprefix("OTEL_EXPORTER_OTLP_") for line in faults] == told
    assert "s3cret" not in str(faults)
    assert "secret@" not in str(faults)


def test_without_its_packages_the_start_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(otlp, "PACKAGE", "no_such_package.opentelemetry")
    assert otlp.faults({}) == [
        "GATEPOST_TRACES: traces need more packages: pip install '.[traces]' in Gatepost's checkout"
    ]


def test_the_header_is_the_one_of_the_standard():
    assert HEADER == "traceparent"
