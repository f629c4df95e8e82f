"""What delivery's reading of its health says: rules over `GET /v1/deliveries/health`."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from services.delivery.terminal.findings import FEW, SAFE, WAITING, WORKING, Line, Status, counted, level

EVERY_BREAKER: Final = (
    "every breaker is open",
    "See the providers above: each tries again by itself; another one helps.",
)
NONE_ON: Final = ("no provider is switched on", "`gatepost providers list`; `gatepost providers set NAME --enabled`.")


def _waiting(health: Mapping[str, Any]) -> Iterator[Line]:
    waiting = health["waiting"]
    oldest, due = waiting["oldest_seconds"], waiting["due"]
    figure = f"{due} waiting, the oldest for {oldest:.0f} s" if due else "nobody"
    do = "See the providers below; `gatepost watch` shows what happens."
    yield Line(WAITING, "unsent codes", level(oldest, 5, 30), figure, do, "somebody-waits-for-a-code")
    late = waiting["overdue"]
    do = "A worker was lost or does not settle: see delivery's log."
    yield Line(WAITING, "overdue rows", level(late, 1, 1000), f"{late}", do, "somebody-waits-for-a-code")


def _pauses(health: Mapping[str, Any]) -> Iterator[Line]:
    paused, held = health["paused"], health["waiting"]["held_back"]
    figure = f"{counted(len(paused), 'pause')}, {counted(held, 'message')} kept back" if paused else "none"
    do = "`gatepost deliveries pauses`, then `resume` with the same options."
    yield Line(WAITING, "pauses", Status.WARN if paused else Status.OK, figure, do, "codes-are-kept-back")


def _providers(health: Mapping[str, Any]) -> Iterator[Line]:
    calls = {row["provider"]: row for row in health["recent"]["providers"]}
    for row in health["providers"]:
        if row["enabled"] and row["breaker"] is not None:
            yield _provider(row, calls.get(row["name"]))
    for channel in ("sms", "email"):
        own = [row for row in health["providers"] if row["channel"] == channel and row["enabled"] and row["breaker"]]
        if not any(row["breaker"] == "closed" for row in own):
            why, do = EVERY_BREAKER if own else NONE_ON
            yield Line(WORKING, f"{channel} at all", Status.FAIL, why, do, "a-provider-fails")


def _provider(row: Mapping[str, Any], calls: Mapping[str, Any] | None) -> Line:
    name, do = row["name"], "`gatepost providers list`; `set NAME --disabled` sends by the next one."
    if row["breaker"] != "closed":
        return Line(WORKING, name, Status.WARN, f"its breaker is {row['breaker']}", do, "a-provider-fails")
    if not calls or not calls["calls"]:
        return Line(WORKING, name, Status.OK, "nothing was sent in five minutes", "", "a-provider-fails")
    share = (calls["failed"] + calls["undelivered"]) / calls["calls"]
    figure = f"{counted(calls['calls'], 'call')} in five minutes, {min(share, 1):.0%} failed"
    figure += f" (mostly {calls['reason']})" if calls["reason"] else ""
    figure += f", p95 {calls['p95_ms'] or 0} ms"
    figure += f"; besides {counted(calls['of_numbers'], 'fault')} of numbers" if calls["of_numbers"] else ""
    status = level(share, 0.1, 0.5) if calls["calls"] >= FEW else Status.OK
    return Line(WORKING, name, status, figure, do, "a-provider-fails")


def _receipts(health: Mapping[str, Any]) -> Iterator[Line]:
    for row in health["recent"]["providers"]:
        if row["no_receipt"]:
            share = row["no_receipt"] / max(1, row["calls"])
            figure = f"{row['no_receipt']} of {row['calls']} of {row['provider']} in five minutes"
            do = "See that the provider reaches GATEPOST_RECEIPTS_URL, and its signing secret."
            yield Line(WORKING, "receipts missing", level(share, 0.05), figure, do, "receipts-do-not-come")


def _fallbacks(health: Mapping[str, Any]) -> Iterator[Line]:
    sms, made = health["recent"]["sms"], health["recent"]["fallbacks"]
    share = made / sms if sms else 0.0
    figure = f"{share:.0%}: {counted(made, 'e-mail')} because an SMS did not arrive, of {sms} SMS in five minutes"
    do = "`gatepost deliveries list --cause fallback`, and why: `show`."
    yield Line(
        WORKING, "fallback share", level(share, 0.1) if sms >= FEW else Status.OK, figure, do, "many-codes-go-by-e-mail"
    )


def _guard(health: Mapping[str, Any]) -> Iterator[Line]:
    guarded: Mapping[str, int] = health["recent"]["guarded"]
    stopped = sum(guarded.values())
    reasons = ", ".join(f"{count} {reason}" for reason, count in guarded.items())
    figure = f"{stopped} SMS stopped in five minutes: {reasons}" if stopped else "no SMS stopped in five minutes"
    yield Line(SAFE, "guard", level(stopped, 1), figure, "`gatepost guard show`.", "sms-are-stopped")


def _letters(health: Mapping[str, Any]) -> Iterator[Line]:
    count = health["dead_letters"]
    figure = f"{count} open" if count else "none"
    yield Line(
        WORKING, "dead letters", level(count, 1), figure, "`gatepost dead-letters list`.", "dead-letters-are-open"
    )


OF_DELIVERY: Final[tuple[Callable[[Mapping[str, Any]], Iterator[Line]], ...]] = (
    _waiting,
    _pauses,
    _providers,
    _receipts,
    _fallbacks,
    _guard,
    _letters,
)
