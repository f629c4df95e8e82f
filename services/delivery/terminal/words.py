"""Steps and reasons in words: what happened, what it means, what to do next."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from services.delivery.channels import catalogue
from services.delivery.channels.webhooks.judging import Loaded

WHY: Final = "docs/operations.md#why-a-message-did-not-arrive"
ARRIVED, TOOK, WAITS, FAILED, ENDED = "✔", "✔", "●", "✘", "■"
COLOURS: Final = {ARRIVED: "green", WAITS: "yellow", FAILED: "red", ENDED: "blue"}

NETWORK: Final = "See the network, and the provider's status page."
WORKERS: Final = "If it lasts, add workers or slots."


class Told(NamedTuple):
    """A step's mark and sentence."""

    mark: str
    text: str


class Explained(NamedTuple):
    means: str
    next: str


REASONS: Final[Mapping[str, Explained]] = {
    "connection-lost": Explained("The connection broke before the answer: nobody knows whether it was taken.", NETWORK),
    "contacts-do-not-open": Explained("The sealed contacts were altered on the way.", "See who writes to the topics."),
    "expired": Explained("Its code was over before anybody could take it.", WORKERS),
    "guard-budget": Explained(
        "The day's budget for SMS is spent.", "gatepost guard show; a higher budget, or tomorrow"
    ),
    "guard-conversion": Explained(
        "Too few codes come back from numbers that begin alike.", "gatepost guard show; guard allow if they are honest"
    ),
    "guard-country": Explained("No SMS goes to this country.", "gatepost guard settings ACCOUNT; guard set --country"),
    "guard-number-type": Explained("No SMS goes to this kind of number.", "See GATEPOST_GUARD_NUMBER_TYPES."),
    "invalid-address": Explained("The mail server refuses the address.", "Ask the user for the right address."),
    "key-unknown": Explained("The key that opens it is not here.", "Copy the keyring files; see docs/operations.md."),
    "lease-too-short": Explained("No time was left for a call.", WORKERS),
    "mailbox-busy": Explained("The mail server takes nothing for this address now.", "If it lasts, ask the user."),
    "no-contact": Explained("The user has no such contact.", "gatepost users show"),
    "no-provider": Explained("No provider is switched on for it.", "gatepost providers list"),
    "no-receipt": Explained(
        "The provider took it and never said that it arrived.", "See `gatepost doctor`: is it one provider's?"
    ),
    "paused": Explained("Operators hold it back.", "gatepost deliveries pauses; then resume"),
    "provider-answer-unreadable": Explained(
        "The answer is not what the provider documents.", "Check …_BASE_URL; see whether a proxy answers."
    ),
    "provider-busy": Explained("The provider takes nothing now.", "If it lasts, ask it for a higher rate."),
    "provider-certificate": Explained(
        "The provider's certificate is not valid, or it speaks no TLS.",
        "Check …_BASE_URL and the trusted certificates.",
    ),
    "provider-credentials": Explained(
        "Key, token, password or application are not accepted.", "Compare the settings with the provider's console."
    ),
    "provider-error": Explained("The provider failed.", "See its status page."),
    "provider-redirects": Explained(
        "The answer points elsewhere; it is never followed.", "Set …_BASE_URL, or the webhook's `url`, to its address."
    ),
    "provider-silent": Explained("No answer in time: nobody knows whether it was taken.", "See its status page."),
    "provider-unreachable": Explained("No connection to the provider.", NETWORK),
    "providers-busy": Explained("All providers had no room for it.", "Raise --slots or --per-second of one."),
    "providers-down": Explained("Every provider's breaker is open.", "gatepost providers list"),
    "rate-limited": Explained("The provider takes nothing now.", "If it lasts, ask it for a higher rate."),
    "refused": Explained("Refused with a code that is not listed here.", "Look the code up at the provider."),
    "template-does-not-render": Explained(
        "The webhook's template cannot take this message.", "Mend the file, restart delivery."
    ),
    "too-late": Explained(
        "Its code was about to expire before anybody could take it.", "See what it waited for above."
    ),
    "tries-used-up": Explained("Every try failed.", "See the reasons of the tries above."),
    "worker-lost": Explained("The worker that called ended before it wrote the answer.", "See delivery's log."),
}


def explained(step: Mapping[str, Any], webhooks: Sequence[Loaded] = ()) -> Explained | None:
    """What a failure means and what to do about it; the vendor's own words where its code is known."""
    reason = step.get("reason") or ""
    if found := catalogue.explained([dict(step)], webhooks):
        return Explained(found[0]["means"], found[0]["next"])
    word = reason.partition(":")[0]
    if word in REASONS and mark_of(step) != ENDED:
        return REASONS[word]
    return Explained("", f"see {WHY}") if reason and mark_of(step) == FAILED else None


SENTENCES: Final[Mapping[str, Told]] = {
    "sent": Told(TOOK, "{provider} took it{call}"),
    "delivered": Told(ARRIVED, "arrived, says {provider}"),
    "replayed": Told(WAITS, "queued again by a replay"),
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
