"""`/v1/dead-letters`."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from aiohttp import web

from services.delivery import dead_letters
from services.delivery.routes.parts import PARTS, caller, not_found, uuid_at
from services.platform.clock import in_utc
from services.platform.http import Problem, body, json_response, query, unavailable
from services.platform.kafka import BrokerAway, Refused
from services.platform.keys.keyring import SealBroken, UnknownKey

MOST: Final = 200
AT_ONCE: Final = 50


class ListQuery(dead_letters.Letters, frozen=True, kw_only=True, forbid_unknown_fields=True):
    cursor: str | None = None
    limit: int = MOST


async def listed(request: web.Request) -> web.Response:
    await caller(request)
    asked = query(request, ListQuery)
    limit = min(max(asked.limit, 1), MOST)
    found = await request.app[PARTS].letters.page(asked, before(asked.cursor), limit + 1)
    after = cursor_of(found[limit - 1]) if len(found) > limit else None
    return json_response({"dead_letters": found[:limit], "next": after})


def cursor_of(last: dead_letters.Letter) -> str:
    return f"{last.at.isoformat().replace('+00:00', 'Z')}~{last.id}"


def before(cursor: str | None) -> tuple[datetime, UUID] | None:
    if cursor is None:
        return None
    try:
        at, letter_id = cursor.split("~")
        return in_utc(datetime.fromisoformat(at)), UUID(letter_id)
    except ValueError:
        raise _badcursor_of() from None


def _badcursor_of() -> Problem:
    return Problem(400, "bad-request", "The cursor is not one that this list gave.")


async def show(request: web.Request) -> web.Response:
    """The letter and the shape of its record; audited before it is opened."""
    who, row = await caller(request), await _row(request)
    parts = request.app[PARTS]
    await parts.letters.opened(row["id"], who.name, "show")
    with told(row):
        content = parts.taker.content(row)
    letter = msgspec.to_builtins(await parts.letters.letter(row["id"]))
    return json_response(letter | {"content": content})


async def export(request: web.Request) -> web.Response:
    """The record's own bytes, for whoever may write its topic; audited."""
    who, row = await caller(request), await _row(request)
    parts = request.app[PARTS]
    await parts.letters.opened(row["id"], who.name, "export")
    with told(row):
        return json_response(parts.taker.exported(row))


async def again(request: web.Request) -> web.Response:
    who, row = await caller(request), await _row(request)
    parts = request.app[PARTS]
    if row["discarded_at"] is not None:
        raise is_discarded()
    with told(row):
        taken = await parts.taker.take_again(row)
    await parts.letters.mark(row["id"], who.name)
    return json_response({"id": row["id"], "taken": taken, "still_bad": not taken}, 202)


async def discard(request: web.Request) -> web.Response:
    who, asked = await caller(request), await body(request, dead_letters.Discard)
    row, parts = await _row(request), request.app[PARTS]
    if not await parts.letters.discard(row["id"], who.name, asked.reason):
        raise is_discarded()
    return json_response(await parts.letters.letter(row["id"]))


async def discard_many(request: web.Request) -> web.Response:
    """Give what a dry run answered as `until`: so what came since is not put away unseen."""
    who, asked = await caller(request), await body(request, dead_letters.BulkDiscard)
    parts = request.app[PARTS]
    until = asked.until or await parts.letters.now()
    wanted = dead_letters.Letters(
        topic=asked.topic, reason=asked.reason, service=asked.service, since=asked.since, until=until
    )
    if asked.dry_run:
        many = sum((await parts.letters.groups(wanted)).values())
        return json_response({"dry_run": True, "discarded": many, "left": False, "until": until})
    if asked.because is None:
        raise Problem(400, "bad-request", "Say why nobody needs them [because].")
    many, left = await parts.letters.discard_many(wanted, who.name, asked.because)
    return json_response({"dry_run": False, "discarded": many, "left": left, "until": until})


async def many_again(request: web.Request) -> web.Response:
    """Fifty at a time: `next` and `until` go into the next call."""
    who, asked = await caller(request), await body(request, dead_letters.Bulk)
    parts = request.app[PARTS]
    asked = msgspec.structs.replace(asked, state=None, until=asked.until or await parts.letters.now())
    if asked.dry_run:
        counts = dead_letters.outcomes_of(await parts.letters.groups(asked))
        return json_response({"dry_run": True, "counts": counts, "next": None, "until": asked.until})
    rows = await parts.letters.open_page(asked, _after(asked.after), AT_ONCE)
    with told({}):
        counts = await parts.taker.take_many(parts.letters, rows, who.name)
    after = rows[-1]["id"] if len(rows) == AT_ONCE else None
    return json_response({"dry_run": False, "counts": counts, "next": after, "until": asked.until})


def _after(given: str | None) -> UUID | None:
    try:
        return UUID(given) if given else None
    except ValueError:
        raise _badcursor_of() from None


async def _row(request: web.Request) -> dict[str, Any]:
    """Raises 404; whoever asks has been let in before."""
    row = await request.app[PARTS].letters.find(uuid_at(request, "letter_id"))
    if row is None:
        raise not_found("There is no such dead letter.")
    return row


def is_discarded() -> Problem:
    return Problem(409, "dead-letter-discarded", "This dead letter was put away; its list says by whom and why.")


@contextmanager
def told(row: dict[str, Any]) -> Iterator[None]:
    """What goes wrong with a letter, as problems."""
    try:
        yield
    except dead_letters.NotOurs:
        text = f"{row['service']} refused this record of {row['topic']}, which delivery may not write."
        raise Problem(
            409, "not-replayable-here", f"{text} Export it, and publish it from where it is written."
        ) from None
    except (SealBroken, UnknownKey):
        raise Problem(409, "dead-letter-unreadable", "The key that opens this dead letter is not here.") from None
    except Refused:
        raise Problem(409, "not-replayable-here", "Kafka refuses this record: it is too large for its topic.") from None
    except BrokerAway:
        raise unavailable("kafka-unavailable", "Kafka does not answer.") from None
