"""Steps and reasons in words: what happened, what it means, what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.delivery.channels import catalogue
from services.delivery.channels.webhooks.judging import Loaded

WHY: Final = "docs/operations.md#why-a-message-did-not-arrive"
ARRIVED, TOOK, WAITS, FAILED, ENDED = "✔", "✔", "●", "✘", "■"
COLOURS: Final = {ARRIVED: "green", WAITS: "yellow", FAILED: "red", ENDED: "blue"}


class Told(NamedTuple):
    """A step's mark and sentence."""

    mark: str
    text: str


class Explained(NamedTuple):
    means: str
    next: str


REASONS: Final[Mapping[str, Explained]] = {
    "no-receipt": Explained(
        "The provider took it and never said that it arrived.", "See `gatepost doctor`: is it one provider's?"
    ),
    "too-late": Explained(
        "Its code was about to expire before anybody could take it.", "See what it waited for above."
    ),
    "tries-used-up": Explained("Every try failed.", "See the reasons of the tries above."),
    "worker-lost": Explained("The worker that called ended before it wrote the answer.", "See delivery's log."),
    "no-provider": Explained("No provider is switched on for it.", "gatepost providers list"),
    "providers-down": Explained("Every provider's breaker is open.", "gatepost providers list"),
    "providers-busy": Explained("All providers had no room for it.", "Raise --slots or --per-second of one."),
    "paused": Explained("Operators hold it back.", "gatepost deliveries pauses; then resume"),
    "no-contact": Explained("The user has no such contact.", "gatepost users show"),
    "key-unknown": Explained("The key that opens it is not here.", "Copy the keyring files; see docs/operations.md."),
    "provider-silent": Explained("No answer in time: nobody knows whether it was taken.", "See its status page."),
    "provider-unreachable": Explained("No connection to the provider.", "See the network, and its status page."),
}


def explained(step: Mapping[str, Any], webhooks: Sequence[Loaded] = ()) -> Explained | None:
    """What a failure means and what to do about it; the vendor's own words where its code is known."""
    reason = step.get("reason") or ""
    if found := catalogue.explained([dict(step)], webhooks):
        return Explained(found[0]["means"], found[0]["next"])
    word = reason.partition(":")[0]
    if word in REASONS:
        return REASONS[word]
    return Explained("", f"see {WHY}") if reason and mark_of(step) == FAILED else None


SENTENCES: Final[Mapping[str, Told]] = {
    "sent": Told(TOOK, "{provider} took it{call}"),
    "delivered": Told(ARRIVED, "arrived, says {provider}"),
    "held": Told(WAITS, "operators keep it back"),
    "released": Told(WAITS, "operators let it go on"),
    "login_closed": Told(ENDED, "login closed{reason}"),
    "cancelled": Told(ENDED, "not needed any more{reason}"),
    "receipt_not_awaited": Told(ENDED, "no receipt is waited for: the login is over"),
    "late_result": Told(WAITS, "an answer of {provider} came late{reason}"),
    "doubted": Told(FAILED, "nobody knows whether {provider} took it{call}{reason}; tried again"),
}


def told(step: Mapping[str, Any]) -> Told:
    what, called = step["what"], step.get("ms") is not None
    given = {
        "provider": step.get("provider") or "a provider",
        "call": _call(step),
        "reason": f": {step['reason']}" if step.get("reason") else "",
    }
    made = _queued(step, called) if what == "queued" else SENTENCES.get(what) or _failed(step, called)
    if what == "delivered" and called:
        made = SENTENCES["sent"]
    return Told(made.mark, made.text.format(**given))


def mark_of(step: Mapping[str, Any]) -> str:
    return told(step).mark


def _queued(step: Mapping[str, Any], called: bool) -> Told:
    if called:
        return Told(FAILED, "{provider} did not take it{call}{reason}; tried again")
    return Told(WAITS, "waits{reason}" if step.get("reason") else f"queued ({step.get('cause') or 'login'})")


def _failed(step: Mapping[str, Any], called: bool) -> Told:
    """A state that ends a row: what a call said, or what the provider said later."""
    if called:
        return Told(FAILED, f"{step['what']}, {{provider}}{{call}}{{reason}}")
    says = ", says {provider}" if step.get("provider") and step.get("reason") != "no-receipt" else ""
    return Told(FAILED, f"{step['what']}{says}{{reason}}")


def _call(step: Mapping[str, Any]) -> str:
    attempt = f", attempt {step['attempt']}" if step.get("attempt", 1) > 1 else ""
    return f" ({step['ms']} ms{attempt})" if step.get("ms") is not None else ""
