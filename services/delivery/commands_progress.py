"""A replay on the terminal: its counts in words, its progress until the end."""

import shlex
import time
from contextlib import suppress
from typing import Any, Final

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn

from services.platform.cli import Away, Refused, answer_to, fail, part, saved
from services.platform.plurals import plural

POLL_SECONDS: Final = 0.5
PATIENCE_SECONDS: Final = 600.0
SETTLING_SECONDS: Final = 10.0  # after the end, for what it queued to go out
UNDER_WAY: Final = frozenset({"queued", "sending"})
INTERRUPTED: Final = 130
FEW: Final = 1000  # a hint counts no further
WORDS: Final = {
    "used": "already verified",
    "no-contact": "no contact",
    "under-way": "under way",
    "limit": "limit of user or number",
    "arrived-meanwhile": "arrived meanwhile",
}


def print_counts(counted: Any, err: bool = False) -> None:
    """Of a dry run: what would be sent first."""
    at_least = "at least " if counted.get("more") else ""
    typer.echo(f"{at_least}{plural(counted['matched'], 'message')} that did not arrive", err=err)
    _print(counted["counts"], "would be sent", err)


def print_end(replay: Any, sent_before: int | None = None) -> None:
    """`sent_before`: of one that went on."""
    by = f" by {replay['stopped_by']}" if replay.get("stopped_by") else ""
    typer.echo(f"replay {replay['replay_id']} {replay['state']}{by}")
    if sent_before is not None:
        typer.echo(f"  {_went_on(replay['counts']['replayed'], sent_before)}")
    _print(replay["counts"], "sent again", False)
    if became := replay.get("became"):
        typer.echo("of those sent again now " + ", ".join(f"{state} {many}" for state, many in became.items()))
        _print_missed(replay.get("not_arrived") or [])


def _print_missed(missed: list[dict[str, Any]]) -> None:
    """Why those failed that failed again."""
    for one in missed:
        typer.echo(f"  {one['state'] + ' ' + (one['reason'] or ''):24} {one['many']:>7}")
    if any((one["reason"] or "").startswith("guard-") for one in missed):
        typer.echo("The guard stopped some: `gatepost guard show`; `gatepost guard allow` lets honest ones through.")


def was_over(made: Any) -> bool:
    """The same click again: that replay had come to its end."""
    return bool(made["repeated"] and made["state"] == "done")


def print_was_over(replay: Any) -> None:
    typer.echo(f"replay {replay['replay_id']} was done before; nothing was sent now")
    _print(replay["counts"], "sent then", False)


def _went_on(sent: int, before: int) -> str:
    return f"went on: {sent - before} more sent, {sent} in all"


def to_go_on(asked: dict[str, Any], replay_id: str) -> str:
    """The command that goes on with a replay, by its filter."""
    given = asked | {"replay_id": replay_id}
    options = [f"--{name.replace('_', '-')} {shlex.quote(f'{value}')}" for name, value in given.items()]
    return " ".join(["gatepost replays create", *options])


def _print(counts: dict[str, int], sent: str, err: bool) -> None:
    for outcome, many in sorted(counts.items(), key=lambda one: one[0] != "replayed"):
        words = sent if outcome == "replayed" else WORDS.get(outcome, outcome.replace("closed:", "closed: "))
        typer.echo(f"  {words:24} {many:>7}", err=err)


def told(seconds: float) -> str:
    """A duration, as one says it."""
    if seconds < 90:
        return f"{max(1, round(seconds))} s"
    return f"{round(seconds / 60)} min"


def follow(replay: Any) -> Any:
    """The replay once it is over. Ctrl-C leaves it running."""
    try:
        with _progress() as bar:
            ended = _to_the_end(replay, bar, bar.add_task("replay", total=None, sent=0, rate="", left=""))
            return _settled(ended, bar)
    except KeyboardInterrupt:
        name = replay["replay_id"]
        say = f"The replay goes on. To see it: gatepost replays watch {name}. To end it: gatepost replays stop {name}."
        Console(stderr=True).print(f"\n{say}", markup=False, highlight=False, soft_wrap=True)
        raise typer.Exit(INTERRUPTED) from None


def _progress() -> Progress:
    columns = (TextColumn("{task.fields[sent]} sent"), TextColumn("{task.fields[rate]}{task.fields[left]}"))
    console = Console(stderr=True)
    return Progress(BarColumn(40), MofNCompleteColumn(), *columns, console=console, disable=not console.is_terminal)


def _to_the_end(replay: Any, bar: Progress, task: TaskID) -> Any:
    begun, sent_before, repeated = time.monotonic(), replay["counts"]["replayed"], replay["repeated"]
    while True:
        looked, sent = sum(replay["counts"].values()), replay["counts"]["replayed"]
        rate = (sent - sent_before) / max(time.monotonic() - begun, POLL_SECONDS)
        total = None if replay["more"] else max(looked, replay["matched"])
        left = f", {told(replay['seconds_left'])} left" if replay["seconds_left"] else ""
        bar.update(task, completed=looked, total=total, sent=sent, rate=f"{rate:.1f}/s", left=left)
        if replay["state"] != "running":
            return replay | {"repeated": repeated}
        time.sleep(POLL_SECONDS)
        replay = _again(replay, bar)


def _settled(replay: Any, bar: Progress) -> Any:
    """With what became of its messages, once they went out; those of a paused account wait longer than this."""
    end, repeated = time.monotonic() + SETTLING_SECONDS, replay["repeated"]
    while replay["counts"]["replayed"]:
        replay = _again(replay, bar)
        if not UNDER_WAY & replay["became"].keys() or time.monotonic() > end:
            break
        time.sleep(POLL_SECONDS)
    return replay | {"repeated": repeated}


def _again(replay: Any, bar: Progress) -> Any:
    """How it stands now; while nobody answers, as it was."""
    account = None if replay["account"] == "*" else replay["account"]
    path = f"/v1/replays/{part(replay['replay_id'])}"
    end, is_told = time.monotonic() + PATIENCE_SECONDS, False
    while True:
        try:
            return answer_to(saved(), "delivery", "GET", path, query={"account": account})
        except Refused as refused:
            if refused.status < 500:
                fail(str(refused))
            why = str(refused)
        except Away as away:
            why = str(away)
        if time.monotonic() > end:
            fail(f"{why}\nThe replay goes on when it is back. To see it: gatepost replays watch {replay['replay_id']}")
        if not is_told:
            bar.console.print(f"{why} The replay goes on when it is back; waiting.", markup=False, highlight=False)
            is_told = True
        with suppress(InterruptedError):
            time.sleep(POLL_SECONDS)
