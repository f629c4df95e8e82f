"""What the terminal shows of steps, timelines and health."""

import ast
import io
import re
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from deploy.local.pictures import svg
from services.delivery.states import Reason
from services.delivery.terminal import doctor, findings, live, timeline
from services.delivery.terminal.doctor import Answer, Heard
from services.delivery.terminal.findings import Line, Status
from services.delivery.terminal.following import Dropped, Events
from services.delivery.terminal.probing import is_settled, verdict
from services.delivery.terminal.words import REASONS, explained, told

ROOT = Path(__file__).parent.parent.parent.parent
GUIDE = (ROOT / "docs" / "operations.md").read_text()
LOGIN = "0197a0b0-0000-7000-8000-000000000000"
READY = {"status": "ready", "service": "x"}


def step(what: str, **more: Any) -> dict[str, Any]:
    return {"id": 1, "at": "2026-11-26T00:24:43.5Z", "what": what, "login_id": LOGIN, "channel": "sms"} | more


@pytest.mark.parametrize(
    ("shown", "mark", "text"),
    [
        (step("queued", cause="login"), "●", "queued (login)"),
        (step("replayed", cause="replay:r"), "●", "queued again by a replay"),
        (step("queued", reason="paused"), "●", "waits: paused"),
        (
            step("queued", provider="twilio", ms=12, attempt=2, reason="rate-limited:20429"),
            "✘",
            "twilio did not take it (12 ms, attempt 2): rate-limited:20429; tried again",
        ),
        (step("sent", provider="twilio", ms=12, attempt=1), "✔", "twilio took it (12 ms)"),
        (step("delivered", provider="smtp", ms=9), "✔", "smtp took it (9 ms)"),
        (step("delivered", provider="twilio"), "✔", "arrived, says twilio"),
        (step("undelivered", provider="twilio", reason="x:1"), "✘", "undelivered, says twilio: x:1"),
        (step("unknown", provider="twilio", reason="no-receipt"), "✘", "unknown: no-receipt"),
        (step("failed", provider="twilio", ms=3, reason="x:1"), "✘", "failed, twilio (3 ms): x:1"),
        (step("expired", reason="too-late"), "✘", "expired: too-late"),
        (step("login_closed", channel=None, reason="verified"), "■", "login closed: verified"),
        (step("something-new", reason="why"), "✘", "something-new: why"),
    ],
)
def test_each_step_is_a_sentence(shown: dict[str, Any], mark: str, text: str):
    assert told(shown) == (mark, text)


def test_a_failure_says_what_to_do_by_the_vendors_code_by_our_word_or_by_the_guide():
    vendors = explained(step("failed", provider="twilio", ms=3, reason="not-a-mobile:21614"))
    assert vendors is not None
    assert "right mobile number" in vendors.next
    ours = explained(step("unknown", provider="twilio", reason="no-receipt"))
    assert ours is not None
    assert "gatepost doctor" in ours.next
    other = explained(step("failed", reason="never-heard-of"))
    assert other is not None
    anchor = other.next.partition("#")[2]
    assert anchor in anchors()
    assert explained(step("delivered", provider="twilio")) is None
    assert explained(step("login_closed", reason="expired")) is None


def test_every_word_of_ours_is_explained_and_every_explained_word_stands_in_the_guide():
    table = GUIDE.partition("## Why a message did not arrive")[2].partition("## Providers' errors")[0]
    cells = re.findall(r"^\| (`[^|]+) \|", table, re.M)
    documented = {word for cell in cells for word in re.findall(r"`([a-z-]+)`", cell)}
    assert {str(reason) for reason in Reason} <= documented
    assert REASONS.keys() == documented
    assert all(why.means and why.next for why in REASONS.values())


def anchors() -> set[str]:
    """Of headings, as GitHub makes them."""
    titles = re.findall(r"^#+ (.+)$", GUIDE, re.M)
    return {re.sub(r"[^a-z0-9 -]", "", title.lower()).replace(" ", "-") for title in titles}


def found(*steps: dict[str, Any], closed: str | None = None) -> dict[str, Any]:
    row = {"channel": "sms", "to": "+44 •••", "state": "failed", "provider": "twilio", "tries": 1, "reason": "x:1"}
    return {
        "login_id": LOGIN,
        "account": LOGIN,
        "user": LOGIN,
        "closed": closed,
        "begun_at": "2026-11-26T00:24:43Z",
        "expires_at": "2026-11-26T00:29:43Z",
        "deliveries": [row | {"cause": "login"}],
        "steps": list(steps),
    }


def text_of(seen: Any, width: int = 120) -> str:
    console = Console(file=io.StringIO(), width=width)
    console.print(seen)
    return console.file.getvalue()  # type: ignore[attr-defined, no-any-return]


def test_a_timeline_draws_a_lane_for_each_channel_and_the_fall_from_one_to_the_other():
    shown = text_of(
        timeline.picture(
            found(
                step("queued", cause="login", after_ms=10),
                step("failed", provider="twilio", ms=5, reason="not-a-mobile:21614", after_ms=20),
                step("queued", channel="email", cause="fallback:login", after_ms=21),
                step("sent", channel="email", provider="smtp", ms=7, after_ms=3030),
                step("login_closed", channel=None, reason="verified", after_ms=5000),
                closed="verified",
            )
        )
    )
    lines = [line.strip("│ \n") for line in shown.splitlines()]
    assert any(re.search(r"\+0\.02 s  ✘ +failed, twilio", line) for line in lines)
    assert any(re.search(r"\+0\.02 s  ╰───▶ ● +queued \(fallback:login\)", line) for line in lines)
    assert any(re.search(r"\+3\.03 s +✔ +smtp took it \(7 ms\)", line) for line in lines)
    assert any(re.search(r"\+5\.00 s +■ +login closed: verified", line) for line in lines)
    assert "→ Ask the user for the right mobile number." in shown


def test_a_timeline_of_a_login_that_nothing_was_sent_for_is_drawn_too():
    nothing = found() | {"deliveries": [], "account": None, "user": None, "begun_at": None, "expires_at": None}
    assert "the login is open" in text_of(timeline.picture(nothing))


def test_rates_count_what_was_shown_in_the_last_minute():
    now = [0.0]
    rates = live.Rates(lambda: now[0])
    for one in (
        step("queued"),
        step("sent", ms=1, provider="twilio"),
        step("delivered", provider="twilio"),
        step("queued", ms=1, provider="twilio"),
        step("queued", cause="fallback:login", channel="email"),
    ):
        rates.count(one)
    now[0] = 10.0
    assert (rates.per_second("sent"), rates.per_second("failed"), rates.share()) == (0.1, 0.1, 0.5)
    now[0] = 61.0
    assert (rates.per_second("sent"), rates.share()) == (0.0, 0.0)


def test_server_sent_events_keep_the_last_id_also_where_nothing_was_shown():
    events = Events()
    lines = ["id: 7", "event: step", 'data: {"id": 7}', "", ": quiet", "", "id: 9", ""]
    assert [heard for line in lines if (heard := events.line(line)) is not None] == [{"id": 7}]
    assert events.last == "9"
    events.line("event: dropped")
    events.line('data: {"reason": "too-slow"}')
    with pytest.raises(Dropped, match="too-slow"):
        events.line("")


def health(**changed: Any) -> dict[str, Any]:
    calls = {"provider": "twilio", "channel": "sms", "calls": 100, "failed": 1, "undelivered": 0, "no_receipt": 0}
    calls |= {"of_numbers": 0, "reason": None}
    row = {"enabled": True, "breaker": "closed"}
    base = {
        "clock_ahead_ms": 3,
        "waiting": {"due": 0, "oldest_seconds": 0.0, "held_back": 0, "overdue": 0},
        "outbox": {"waiting": 0, "oldest_seconds": 0.0, "parked": 0},
        "recent": {"sms": 100, "fallbacks": 1, "guarded": {}, "providers": [calls | {"p95_ms": 120}]},
        "dead_letters": 0,
        "paused": [],
        "providers": [{"name": "twilio", "channel": "sms"} | row, {"name": "smtp", "channel": "email"} | row],
        "kafka": {"lag": 0, "answered_seconds": 0.1},
        "migrations": [],
    }
    return base | changed


def heard(read: Any = None, topics: Any = None, **services: Answer) -> Heard:
    said: dict[str, dict[str, Any]] = {
        "gateway": READY | {"keys": {"contacts": [1]}, "migrations": [], "outbox": health()["outbox"]},
        "delivery": READY | {"keys": {"contacts": [1]}},
        "session_store": READY | {"feed": "current", "migrations": []},
    }
    answers = {name: Answer("http://x", True, said[name], "a 1\n", 0.0) for name in doctor.SERVICES}
    return Heard(answers | services, health() if read is None else read, topics)


def bad(lines: list[Line]) -> dict[str, Status]:
    return {line.name: line.status for line in lines if line.status is not Status.OK}


def test_all_is_well():
    assert bad(doctor.judged(heard(topics=[]))) == {}


CALLS = health()["recent"]["providers"][0]


def recent(**changed: Any) -> Heard:
    return heard(health(recent=health()["recent"] | changed))


OPEN = [row | {"breaker": "open"} for row in health()["providers"]]


def late(calls: int) -> str:
    name = 'gatepost_login_to_call_seconds_bucket{channel="sms",le="'
    return f'{name}1.0"}} 0.0\n{name}30.0"}} {calls}.0\n{name}+Inf"}} {calls}.0\n'


SICK: list[tuple[Heard, dict[str, str]]] = [
    (heard("not signed in"), {"deliveries": "FAIL"}),
    (heard(gateway=Answer("http://x", trouble="away")), {"gateway": "FAIL"}),
    (heard(delivery=Answer("http://x", False, {"reason": "OSError"})), {"delivery": "FAIL"}),
    (heard(health(waiting=health()["waiting"] | {"due": 3, "oldest_seconds": 12.0})), {"unsent codes": "WARN"}),
    (heard(health(waiting=health()["waiting"] | {"due": 3, "oldest_seconds": 31.0})), {"unsent codes": "FAIL"}),
    (heard(health(waiting=health()["waiting"] | {"overdue": 1})), {"overdue rows": "WARN"}),
    (heard(health(outbox={"waiting": 1, "oldest_seconds": 61.0, "parked": 0})), {"delivery's outbox": "FAIL"}),
    (heard(health(outbox={"waiting": 0, "oldest_seconds": 0.0, "parked": 2})), {"delivery's parked": "WARN"}),
    (heard(health(paused=[{"account": "*"}])), {"pauses": "WARN"}),
    (heard(health(dead_letters=1)), {"dead letters": "WARN"}),
    (heard(health(kafka={"lag": 600, "answered_seconds": 31.0})), {"delivery's lag": "FAIL"}),
    (heard(health(migrations=["0010_seeing.sql"])), {"migrations": "FAIL"}),
    (heard(health(clock_ahead_ms=-6000)), {"clocks": "FAIL"}),
    (
        heard(health(providers=[OPEN[0], *health()["providers"][1:]])),
        {"twilio": "WARN", "sms at all": "FAIL"},
    ),
    (recent(sms=9, fallbacks=3, providers=[]), {"fallback share": "WARN"}),
    (recent(providers=[CALLS | {"failed": 60, "reason": "provider-silent"}]), {"twilio": "FAIL"}),
    (
        recent(providers=[CALLS | {"no_receipt": 8}]),
        {"receipts missing": "WARN"},
    ),
    (recent(providers=[CALLS | {"calls": 4, "failed": 4, "reason": "provider-silent"}]), {}),
    (recent(providers=[CALLS | {"failed": 0, "of_numbers": 90}]), {}),
    (recent(guarded={"guard-conversion": 14, "guard-country": 1}), {"guard": "WARN"}),
    (heard(delivery=Answer("http://x", True, READY | {"keys": {"code": [9]}}, "a 1\n")), {}),
    (heard(delivery=Answer("http://x", True, READY, late(19))), {}),
    (heard(delivery=Answer("http://x", True, READY, late(20))), {"login to call": "FAIL"}),
    (heard(topics=["logins"]), {"kafka": "FAIL"}),
    (heard(topics="does not answer (KafkaConnectionError)"), {"kafka": "FAIL"}),
    (heard(delivery=Answer("http://x", True, READY | {"keys": {"contacts": [1, 2]}}, "a 1\n")), {"keys": "WARN"}),
    (
        heard(delivery=Answer("http://x", True, READY, 'gatepost_forged_total{kind="challenge"} 1.0\n')),
        {"forgeries": "FAIL"},
    ),
    (
        heard(gateway=Answer("http://x", True, READY, 'gatepost_guessing_alarms_total{scope="account"} 2.0\n')),
        {"guessing": "WARN"},
    ),
    (
        heard(session_store=Answer("http://x", True, READY | {"feed": "behind"})),
        {"session store": "WARN"},
    ),
]


@pytest.mark.parametrize(("what", "expected"), SICK)
def test_each_trouble_is_seen_by_its_own_line_and_says_what_to_do(what: Heard, expected: dict[str, str]):
    lines = doctor.judged(what)
    assert bad(lines) == expected
    assert all(line.do and line.figure for line in lines if line.status is not Status.OK)


def line(what: Heard, name: str) -> Line:
    return next(line for line in doctor.judged(what) if line.name == name)


def test_a_line_says_the_commonest_reason_and_how_many_the_guard_stopped():
    calls = CALLS | {"failed": 60, "reason": "provider-silent", "of_numbers": 1}
    assert line(recent(providers=[calls]), "twilio").figure == (
        "100 calls in five minutes, 60% failed (mostly provider-silent), p95 120 ms; besides 1 fault of numbers"
    )
    stopped = line(recent(guarded={"guard-conversion": 14, "guard-country": 1}), "guard")
    assert stopped.figure == "15 SMS stopped in five minutes: 14 guard-conversion, 1 guard-country"


def test_a_provider_whose_breaker_is_open_is_not_told_to_be_switched_on():
    every_open, none_on = (health(providers=rows + health()["providers"][1:]) for rows in (OPEN[:1], []))
    assert "--enabled" not in line(heard(every_open), "sms at all").do
    assert "--enabled" in line(heard(none_on), "sms at all").do


def test_every_line_names_a_section_that_the_guide_has():
    files = (ROOT / "services" / "delivery" / "terminal").glob("doctor*.py")
    trees = [ast.parse(file.read_text()) for file in files]
    calls = [
        node
        for tree in trees
        for node in ast.walk(tree)
        if isinstance(node, ast.Call) and ast.unparse(node.func) == "Line"
    ]
    named = {node.args[5].value for node in calls if isinstance(node.args[5], ast.Constant)}
    used = {line.section for what, _ in [*SICK, (heard(topics=[]), {})] for line in doctor.judged(what)}
    assert used | named <= anchors()
    assert len(used) > 15


def test_prometheus_text_is_read_by_label_and_percentile():
    counts = (("0.1", "90.0"), ("1.0", "96"), ("+Inf", "100"))
    text = "".join(f'x_bucket{{channel="sms",le="{end}"}} {count}\n' for end, count in counts)
    buckets = list(findings.labelled(text, "x_bucket", "le"))
    assert findings.percentile(buckets, 0.95) == 1.0
    assert findings.percentile([], 0.95) is None
    assert list(findings.labelled("y_total 3\n", "y_total", "kind")) == []


ROW = {"channel": "sms", "cause": "login", "state": "delivered", "provider": "twilio", "due_at": None, "reason": None}


@pytest.mark.parametrize(
    ("rows", "closed", "settled", "good"),
    [
        ([], None, False, False),
        ([ROW | {"state": "queued"}], None, False, False),
        ([ROW | {"state": "sent", "due_at": "2026"}], None, False, True),
        ([ROW | {"state": "sent"}], None, True, True),
        ([ROW], None, True, True),
        ([ROW | {"state": "failed", "reason": "x"}], None, True, False),
        (
            [ROW | {"state": "failed"}, ROW | {"channel": "email", "cause": "fallback:login", "state": "sent"}],
            None,
            True,
            False,
        ),
        ([ROW | {"state": "cancelled"}], "expired", True, False),
    ],
)
def test_a_probe_is_settled_and_good_only_where_the_code_arrived_as_it_should(
    rows: list[dict[str, Any]], closed: str | None, settled: bool, good: bool
):
    seen = {"deliveries": rows, "closed": closed}
    assert is_settled(seen) is settled
    assert verdict(seen, allow_fallback=False, sms_is_on=True).code == (0 if good else 1)


def test_an_email_in_place_of_the_sms_is_good_where_that_is_allowed():
    rows = [ROW | {"state": "failed"}, ROW | {"channel": "email", "cause": "fallback:login", "state": "sent"}]
    code, text = verdict({"deliveries": rows}, allow_fallback=True, sms_is_on=True)
    assert code == 0
    assert "took the place" in text


@pytest.mark.parametrize("allow_fallback", [True, False])
def test_a_probe_that_tried_no_sms_where_that_is_on_says_nothing_of_the_provider(allow_fallback: bool):
    mail = {"deliveries": [ROW | {"channel": "email", "state": "sent"}]}
    code, text = verdict(mail, allow_fallback, sms_is_on=True)
    assert (code, "limit" in text) == (3, True)
    assert verdict(mail, allow_fallback, sms_is_on=False).code == 0


def test_a_probes_times_have_one_origin():
    assert timeline.step_line(step("sent", provider="x", ms=1, after_ms=20), 300.4).plain.startswith("    320 ms")


@pytest.mark.parametrize("name", ["watch", "doctor", "deliveries-show"])
def test_the_guides_pictures_load_nothing_from_elsewhere(name: str):
    text = (ROOT / "docs" / "pictures" / f"{name}.svg").read_text()
    for loading in ("@font-face", "@import", "href=", "src=", "url(http"):
        assert loading not in text
    assert f"(pictures/{name}.svg)" in GUIDE
    assert "@font-face" not in svg("x", "x", ["x"], 40)
