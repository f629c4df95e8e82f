"""A login's timeline as a picture: time goes down, a lane for each channel."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from rich.console import Group
from rich.panel import Panel
from rich.text import Text

from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.terminal.words import COLOURS, WAITS, Explained, explained, told

LANES: Final = ("sms", "email")
ENDS: Final = frozenset({"delivered", "failed", "undelivered", "unknown", "expired", "cancelled"})


def picture(found: Mapping[str, Any], webhooks: Sequence[Loaded] = ()) -> Panel:
    """Of the answer of `GET /v1/timelines/{login_id}`."""
    steps: Sequence[Mapping[str, Any]] = found["steps"]
    lanes = [lane for lane in LANES if any(step.get("channel") == lane for step in steps)]
    lines = [*_head(found), Text(), _lane_names(lanes), *_drawn(steps, lanes, webhooks), Text(), *_foot(found)]
    title = f"login {found['login_id']}"
    return Panel(Group(*lines), title=title, title_align="left", border_style="dim", expand=False, padding=(0, 1))


def _head(found: Mapping[str, Any]) -> Iterator[Text]:
    yield Text(f"account {found['account'] or '–'}   user {found['user'] or '–'}", style="dim")
    yield Text(f"begun {_short(found['begun_at'])}   code until {_short(found['expires_at'])}", style="dim")


def _short(instant: str | None) -> str:
    return "–" if instant is None else instant[:19].replace("T", " ") + "Z"


def _lane_names(lanes: Sequence[str]) -> Text:
    return Text(" " * 11 + "".join(f"{lane:<6}" for lane in lanes), style="bold")


def _drawn(steps: Sequence[Mapping[str, Any]], lanes: Sequence[str], webhooks: Sequence[Loaded]) -> Iterator[Text]:
    open_lanes: dict[str, int] = dict.fromkeys(lanes, 0)
    for step in steps:
        lane = step.get("channel")
        fresh = step["what"] == "queued" and step.get("ms") is None and not step.get("provider")
        if lane in open_lanes and fresh and open_lanes[lane] == 0:
            open_lanes[lane] = 1
        yield _line(step, lanes, open_lanes)
        if lane in open_lanes and step["what"] in ENDS:
            open_lanes[lane] = 0
        if (why := explained(step, webhooks)) is not None:
            yield from _reason(why, lanes, open_lanes)


def _line(step: Mapping[str, Any], lanes: Sequence[str], open_lanes: Mapping[str, int]) -> Text:
    mark, text = told(step)
    made = Text().append(f"{_after(step):>9}  ", style="cyan")
    falls = mark == WAITS and (step.get("cause") or "").startswith("fallback:")
    for lane in lanes:
        if lane == step.get("channel") or (step.get("channel") is None and (open_lanes[lane] or lane == lanes[-1])):
            made.append(f"{mark:<6}", style=COLOURS[mark])
        else:
            made.append(f"{'╰───▶' if falls and lane == 'sms' else '│' if open_lanes[lane] else ' ':<6}", style="dim")
    return made.append(text, style=COLOURS[mark])


def step_line(step: Mapping[str, Any], begun_ms: float = 0) -> Text:
    """One step by itself, with what to do where it went wrong. `begun_ms`: when the login began."""
    mark, text = told(step)
    made = Text().append(f"{(step.get('after_ms') or 0) + begun_ms:7.0f} ms  ", style="cyan")
    made.append(f"{mark} {step.get('channel') or '':<6}{text}", style=COLOURS[mark])
    why = explained(step)
    return made.append(f"  → {why.next}", style="dim") if why is not None and why.next else made


def _reason(why: Explained, lanes: Sequence[str], open_lanes: Mapping[str, int]) -> Iterator[Text]:
    for text in (why.means, f"→ {why.next}" if why.next else ""):
        if text:
            made = Text(" " * 11)
            for lane in lanes:
                made.append(f"{'│' if open_lanes[lane] else ' ':<6}", style="dim")
            yield made.append(f"  {text}", style="dim")


def _after(step: Mapping[str, Any]) -> str:
    after = step.get("after_ms")
    return step["at"][11:19] if after is None else f"+{after / 1000:.2f} s"


def _foot(found: Mapping[str, Any]) -> Iterator[Text]:
    for row in found["deliveries"]:
        yield Text().append(f"{row['channel']:<6}{row['to']}  ", style="bold").append(_now(row))
    closed = found["closed"]
    yield Text("the login is open" if closed is None else f"the login is closed: {closed}", style="bold")


def _now(row: Mapping[str, Any]) -> str:
    by = f" by {row['provider']}" if row["provider"] else ""
    tries = f", {row['tries']} tries" if row["tries"] != 1 else ""
    reason = f": {row['reason']}" if row["reason"] else ""
    return f"{row['state']}{by}{tries}{reason} ({row['cause']})"
