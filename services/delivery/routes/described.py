"""Delivery's calls as its OpenAPI document tells them."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from uuid import UUID

import msgspec
from msgspec import UNSET, UnsetType

from services.delivery import dead_letters, deliveries, guard_view, replay
from services.delivery.guard import Fallback, Mode, Own
from services.delivery.health import Health
from services.delivery.letter_view import Content
from services.delivery.messages.own import Wording
from services.delivery.messages.words import Preview
from services.delivery.pauses import Pause
from services.delivery.routes import letters, operating, providers, replays, wordings
from services.delivery.routing import Route
from services.delivery.who import RIGHTS
from services.platform.auth import Rights
from services.platform.openapi import EVENTS, FORM, Call, Text, document

RECEIPTS: Final = ("POST", "/v1/receipts/{provider}")
PUBLIC_TOO: Final[Rights] = {**RIGHTS, RECEIPTS: None}


class Paused(msgspec.Struct):
    """What is kept back now, as far as the caller sees it."""

    paused: Sequence[Pause]


class Resumed(Paused):
    """`ended`: how many pauses, 0 or 1."""

    ended: int


class Counting(replay.Counted, frozen=True, kw_only=True, omit_defaults=True):
    """What a dry run tells."""

    dry_run: bool
    per_second: float


class Replays(msgspec.Struct):
    replays: Sequence[replay.Replay]
    next: str | None


class Letters(msgspec.Struct):
    dead_letters: Sequence[dead_letters.Letter]
    next: str | None


class Opened(dead_letters.Letter, frozen=True, kw_only=True):
    """With what stands in it, as far as it may be shown."""

    content: Content


class Taken(msgspec.Struct):
    """`still_bad`: it became a dead letter again."""

    id: UUID
    taken: bool
    still_bad: bool


class PutAway(msgspec.Struct):
    """`left`: there are more that match; call again with the same `until`."""

    dry_run: bool
    discarded: int
    left: bool
    until: datetime


class TakenMany(msgspec.Struct):
    """`next` is `after` of the next call, with the same `until`."""

    dry_run: bool
    counts: dict[str, int]
    next: UUID | None
    until: datetime


class ProviderRow(msgspec.Struct, omit_defaults=True):
    """`breaker` and `under_way` are the answering worker's own; `configured`: its settings name this provider."""

    name: str
    channel: str
    enabled: bool
    weight: int
    position: int
    slots: int | None
    per_second: float | None
    configured: bool | UnsetType = UNSET
    breaker: str | UnsetType = UNSET
    under_way: int | UnsetType = UNSET


class Providers(msgspec.Struct):
    providers: Sequence[ProviderRow]


class Routes(msgspec.Struct):
    routes: Sequence[Route]


class AccountsWording(msgspec.Struct):
    account: UUID
    wording: Wording


class Spending(msgspec.Struct):
    """What was sent and verified; `conversion` is null where nothing was sent."""

    account: UUID
    country: str | None
    provider: str | None
    sends: int
    verified: int
    conversion: float | None
    cost: float | None


class Stopped(msgspec.Struct):
    account: UUID
    country: str | None
    reason: str
    stopped: int


class Spent(msgspec.Struct):
    """Of today's budget; account `*` is the installation's."""

    account: str
    spent: float


class InForce(msgspec.Struct):
    mode: Mode
    countries: Sequence[str] | None
    number_types: Sequence[str]
    minimum: int
    conversion: float
    daily_budget: float | None
    installation_budget: float | None
    fallback: Fallback


class Guard(msgspec.Struct):
    settings: InForce
    figures: Sequence[Spending]
    stops: Sequence[Stopped]
    spent: Sequence[Spent]
    prefixes: Sequence[guard_view.Block]


class GuardSettings(msgspec.Struct):
    """What an account has of its own, and what holds for it."""

    account: UUID
    own: Own
    in_force: InForce


class Lifted(msgspec.Struct):
    """`known`: whether anything was sent to such numbers before."""

    account: UUID
    prefix: str
    hours: int
    known: bool


STORE: Final = {503: ("session-store-unavailable",)}
LETTER: Final[Mapping[int, tuple[str, ...]]] = {409: ("dead-letter-unreadable",)} | STORE
AGAIN: Final[Mapping[int, tuple[str, ...]]] = {
    409: ("dead-letter-discarded", "dead-letter-unreadable", "not-replayable-here"),
    503: ("kafka-unavailable", "session-store-unavailable"),
}
BAD_WORDING: Final = {400: ("bad-wording",)} | STORE
RECEIPT: Final = Text(FORM, {"type": "object", "description": "As the provider sends it: a form or JSON, signed"})

CALLS: Final = {
    ("GET", "/v1/deliveries"): Call(
        "Messages, newest first", {200: deliveries.Page}, query=deliveries.ListQuery, problems=STORE
    ),
    ("GET", "/v1/deliveries/stream"): Call(
        "Every step as it happens",
        {200: Text(EVENTS)},
        query=deliveries.StreamQuery,
        headers={"Last-Event-ID": "The last id that was seen: go on after it"},
        problems={429: ("too-many-streams",)} | STORE,
    ),
    ("GET", "/v1/deliveries/health"): Call("Is anybody waiting, and does it work", {200: Health}, problems=STORE),
    ("GET", "/v1/deliveries/pauses"): Call("What is kept back now", {200: Paused}, problems=STORE),
    ("POST", "/v1/deliveries/pause"): Call("Keep messages back", {200: Paused}, operating.PauseBody, problems=STORE),
    ("POST", "/v1/deliveries/resume"): Call(
        "End exactly that pause", {200: Resumed}, operating.PauseBody, problems=STORE
    ),
    ("GET", "/v1/timelines/{login_id}"): Call(
        "One login from the first step to the last", {200: deliveries.Timeline}, problems=STORE
    ),
    ("GET", "/v1/replays"): Call("Replays, newest first", {200: Replays}, query=replays.ListQuery, problems=STORE),
    ("POST", "/v1/replays"): Call(
        "Send again what did not arrive; `dry_run` counts only",
        {200: (Counting, replay.Replay), 202: replay.Replay},
        replay.Request,
        problems={409: ("replay-id-taken", "replay-running"), 429: ("too-many-replays",)} | STORE,
    ),
    ("GET", "/v1/replays/{replay_id}"): Call(
        "How far a replay is", {200: replay.Replay}, query=replays.OneQuery, problems=STORE
    ),
    ("POST", "/v1/replays/{replay_id}/stop"): Call(
        "Send nothing more", {200: replay.Replay}, query=replays.OneQuery, problems=STORE
    ),
    ("GET", "/v1/dead-letters"): Call(
        "Records that could not be used, newest first", {200: Letters}, query=letters.ListQuery, problems=STORE
    ),
    ("POST", "/v1/dead-letters/replay"): Call(
        "Take the oldest fifty that match again", {200: TakenMany}, dead_letters.Bulk, problems=AGAIN
    ),
    ("POST", "/v1/dead-letters/discard"): Call(
        "Put the oldest ten thousand that match away", {200: PutAway}, dead_letters.BulkDiscard, problems=STORE
    ),
    ("GET", "/v1/dead-letters/{letter_id}"): Call("One, opened; audited", {200: Opened}, problems=LETTER),
    ("GET", "/v1/dead-letters/{letter_id}/record"): Call(
        "Its record as it was; audited", {200: dead_letters.Exported}, problems=LETTER
    ),
    ("POST", "/v1/dead-letters/{letter_id}/replay"): Call("Take one again", {202: Taken}, problems=AGAIN),
    ("POST", "/v1/dead-letters/{letter_id}/discard"): Call(
        "Put one away",
        {200: dead_letters.Letter},
        dead_letters.Discard,
        problems={409: ("dead-letter-discarded",)} | STORE,
    ),
    ("GET", "/v1/providers"): Call("Who sends", {200: Providers}, problems=STORE),
    ("PATCH", "/v1/providers/{provider}"): Call(
        "Switch one on or off, move it, limit it", {200: ProviderRow}, providers.ProviderBody, problems=STORE
    ),
    ("GET", "/v1/routes"): Call("Who sends for which account and country", {200: Routes}, problems=STORE),
    ("PUT", "/v1/routes"): Call(
        "Set all routes of an account, a country, or both", {200: Routes}, providers.RoutesBody, problems=STORE
    ),
    ("GET", "/v1/guard"): Call(
        "What the guard against pumping sees and stops", {200: Guard}, query=guard_view.GuardQuery, problems=STORE
    ),
    ("GET", "/v1/guard/{account}"): Call("An account's settings of the guard", {200: GuardSettings}, problems=STORE),
    ("PUT", "/v1/guard/{account}"): Call("Replace what it has of its own", {200: GuardSettings}, Own, problems=STORE),
    ("DELETE", "/v1/guard/{account}"): Call(
        "Go back to the installation's settings", {200: GuardSettings}, problems=STORE
    ),
    ("POST", "/v1/guard/{account}/allow"): Call(
        "Let numbers through that begin so", {200: Lifted}, guard_view.Allowed, problems=STORE
    ),
    ("GET", "/v1/wordings/{account}"): Call("What an account says", {200: AccountsWording}, problems=STORE),
    ("PUT", "/v1/wordings/{account}"): Call("Replace all of it", {200: AccountsWording}, Wording, problems=BAD_WORDING),
    ("DELETE", "/v1/wordings/{account}"): Call(
        "Go back to the built-in wording", {200: AccountsWording}, problems=STORE
    ),
    ("POST", "/v1/wordings/{account}/preview"): Call(
        "Messages as they would go out", {200: Preview}, wordings.PreviewBody, problems=BAD_WORDING
    ),
    RECEIPTS: Call("A provider's signed receipt", {204: None}, RECEIPT, problems={403: ("bad-signature",)}),
}
DOCUMENT: Final[dict[str, Any]] = document("Gatepost delivery", PUBLIC_TOO, CALLS)
