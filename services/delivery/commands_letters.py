"""`gatepost dead-letters`: list, show, replay, discard, export."""

import json
import os
from pathlib import Path
from typing import Annotated, Any, Final

import typer
from rich.console import Console

from services.delivery.commands_options import Json, Since, Until, Yes, without_none
from services.delivery.states import LetterState
from services.platform.cli import call, call_as, fail, part, saved, show
from services.platform.plurals import plural

SERVICE: Final = "delivery"
FORGED: Final = frozenset({"bad-signature", "seal-broken"})
LETTERS: Final = ["at", "id", "topic", "partition", "offset", "reason", "service", "state", "replayable"]

dead_letters = typer.Typer(no_args_is_help=True, help="Records that could not be used.")

Topic = Annotated[str | None, typer.Option(help="Where the record stood, like login-challenges.")]
Reason = Annotated[str | None, typer.Option(help="As the list shows it, like not-storable.")]
Service = Annotated[str | None, typer.Option(help="Who refused it: gateway, delivery, session-store.")]


@dead_letters.command("list")
def list_letters(  # noqa: PLR0913, PLR0917 - one option a filter
    topic: Topic = None,
    reason: Reason = None,
    service: Service = None,
    state: Annotated[LetterState | None, typer.Option(help="Without it: all.")] = None,
    since: Since = None,
    until: Until = None,
    cursor: Annotated[str | None, typer.Option(help="What the page before gave as next.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=200)] = 50,
    as_json: Json = False,
) -> None:
    """Where they came from and why, newest first; their bytes stay sealed."""
    asked: dict[str, object] = {
        "topic": topic,
        "reason": reason,
        "service": service,
        "state": state,
        "since": since,
        "until": until,
    }
    query = asked | {"cursor": cursor, "limit": limit}
    found = call_as(saved(), SERVICE, "GET", "/v1/dead-letters", query=query)
    show(found if as_json else found["dead_letters"], as_json, LETTERS)
    if found["next"] and not as_json:
        typer.echo(f"more: --cursor {found['next']}", err=True)


@dead_letters.command("show")
def show_letter(letter_id: str, as_json: Json = False) -> None:
    """Open one: its record by ids, instants and words; other values by kind and length. Audited."""
    found = call(SERVICE, "GET", f"/v1/dead-letters/{part(letter_id)}")
    if as_json:
        return show(found, as_json)
    content = found.pop("content")
    record, found["sealed_size"] = content.pop("record"), found.pop("size")
    show(found | content | {"next": _next(found, content)}, as_json)
    if record is None:
        return typer.echo("(not JSON)" if content["size"] else "(empty)")
    return typer.echo(json.dumps(record, indent=1, ensure_ascii=False))


def _next(letter: dict[str, Any], content: dict[str, Any]) -> str | None:
    """What an operator does with it."""
    if letter["state"] != "open":
        return None
    if letter["reason"] in FORGED:
        return "not made by Gatepost's services, unless a key is missing here: discard it"
    if content["problem"] or not letter["replayable"]:
        return "mend what wrote it, and discard it" if content["problem"] else "export it, once the cause is mended"
    return "replay it, once the cause is mended"


@dead_letters.command("replay")
def replay(  # noqa: PLR0913, PLR0917 - one option a filter
    letter_id: Annotated[str | None, typer.Argument(help="One letter; without it those that match.")] = None,
    topic: Topic = None,
    reason: Reason = None,
    service: Service = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Take records again, with their signatures, once the cause is mended."""
    where = without_none(topic=topic, reason=reason, service=service, since=since, until=until)
    if letter_id is not None:
        if where or dry_run:
            raise typer.BadParameter("Give one letter, or filters.")
        return _taken(call(SERVICE, "POST", f"/v1/dead-letters/{part(letter_id)}/replay"), as_json)
    counted = call(SERVICE, "POST", "/v1/dead-letters/replay", where | {"dry_run": True})
    if dry_run:
        return show(counted if as_json else _would_be(counted["counts"]), as_json)
    many = counted["counts"]["taken"]
    if not many:
        fail(f"Nothing that can be replayed here matches ({_in_words(counted['counts'])}).")
    if not yes:
        typer.confirm(f"{_in_words(counted['counts'])}. Take {plural(many, 'record')} again?", abort=True, err=True)
    return _take(where | {"until": counted["until"]}, many, as_json)


def _taken(done: dict[str, Any], as_json: bool) -> None:
    show(done, as_json)
    if done["still_bad"]:
        fail("It is still bad, and made a new letter: `gatepost dead-letters list` says why.")


def _would_be(counts: dict[str, int]) -> dict[str, int]:
    """Of a dry run: nothing was taken."""
    return {"would be taken" if name == "taken" else name: many for name, many in counts.items()}


def _take(where: dict[str, Any], many: int, as_json: bool) -> None:
    """Page by page; a record that is still bad makes a new letter, which is not taken again by this."""
    counts: dict[str, int] = {}
    with Console(stderr=True).status("") as status:
        while True:
            done = call(SERVICE, "POST", "/v1/dead-letters/replay", where)
            counts = {name: counts.get(name, 0) + done["counts"].get(name, 0) for name in counts | done["counts"]}
            status.update(f"{counts['taken']} of {many}")
            if done["next"] is None:
                break
            where = where | {"after": done["next"]}
    show({"counts": counts} if as_json else counts, as_json)


def _in_words(counts: dict[str, int]) -> str:
    words = {"taken": "replayable", "not-ours": "to be exported", "unreadable": "without a key"}
    return ", ".join(f"{many} {words.get(name, name)}" for name, many in counts.items())


@dead_letters.command("discard")
def discard(  # noqa: PLR0913, PLR0917 - one option a filter
    letter_id: Annotated[str | None, typer.Argument(help="One letter; without it those that match.")] = None,
    because: Annotated[
        str | None, typer.Option(help="Why nobody needs them; kept with each letter, so without a contact.")
    ] = None,
    topic: Topic = None,
    reason: Reason = None,
    service: Service = None,
    since: Since = None,
    until: Until = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
    yes: Yes = False,
    as_json: Json = False,
) -> None:
    """Put one away, or all that are open and match, with the reason."""
    where = without_none(topic=topic, reason=reason, service=service, since=since, until=until)
    if letter_id is not None and (where or dry_run):
        raise typer.BadParameter("Give one letter, or filters; why nobody needs it goes to --because.")
    if because is None and not dry_run:
        raise typer.BadParameter("Say with --because why nobody needs them.")
    if letter_id is not None:
        path = f"/v1/dead-letters/{part(letter_id)}/discard"
        return show(call(SERVICE, "POST", path, {"reason": because}), as_json)
    counted = call(SERVICE, "POST", "/v1/dead-letters/discard", where | {"dry_run": True})
    if dry_run:
        return show(counted if as_json else {"would be discarded": counted["discarded"]}, as_json)
    if not counted["discarded"]:
        fail("No open dead letter matches.")
    if not yes:
        typer.confirm(f"Put {plural(counted['discarded'], 'dead letter')} away?", abort=True, err=True)
    return _discard_all(where | {"until": counted["until"], "because": because}, as_json)


def _discard_all(where: dict[str, Any], as_json: bool) -> None:
    many, left = 0, True
    while left:
        done = call(SERVICE, "POST", "/v1/dead-letters/discard", where)
        many, left = many + done["discarded"], done["left"]
    show({"discarded": many}, as_json)


@dead_letters.command("export")
def export(
    letter_id: str,
    out_file: Annotated[Path, typer.Option(help="A new file that only you can read.")],
) -> None:
    """Write a record to a file, open, for `gatepost topics publish` where its topic may be written. Audited."""
    found = call(SERVICE, "GET", f"/v1/dead-letters/{part(letter_id)}/record")
    handle = os.open(out_file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(handle, "w") as out:
        json.dump(found, out)
    typer.echo(f"{out_file} holds the record of {found['topic']} as it was: publish it, then delete the file.")
