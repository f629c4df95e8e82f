"""Faults on request, for one recipient or for all."""

import re
from dataclasses import dataclass
from typing import Any, Final

from deploy.simulator.store import folded

SMS_MODES: Final = (
    "refuse",
    "error",
    "error_after_accept",
    "rate_limit",
    "hang",
    "slow_drip",
    "reset",
    "no_receipt",
    "late_receipt",
    "double_receipt",
    "forged_receipt",
    "undelivered",
)
EMAIL_MODES: Final = (
    "smtp_4xx",
    "smtp_5xx",
    "cut_after_data",
    "hang",
    "reset",
    "refuse",
    "error",
    "error_after_accept",
    "rate_limit",
    "slow_drip",
)
PROVIDERS: Final = ("twilio", "vonage", "webhook", "webhook-email", "smtp", "ses")
MODES: Final = {"sms": SMS_MODES, "email": EMAIL_MODES}
RANGES: Final = {"code": (400, 99_999), "status": (400, 599), "seconds": (0, 600), "retry_after": (0, 3600)}
NUMBERS: Final = (*RANGES, "times")
NAMES: Final = re.compile(r"[A-Za-z0-9-]{1,60}")
SMTP_CODES: Final = {"smtp_4xx": (400, 499), "smtp_5xx": (500, 599)}


class BadFault(ValueError):
    """The text says what is allowed."""


@dataclass
class Fault:
    """`times` None means until it is taken back. A code is a number, for e-mail also the name of an error."""

    mode: str
    code: int | str | None = None
    status: int | None = None
    seconds: float = 30.0
    retry_after: int = 2
    times: int | None = None


class Faults:
    def __init__(self) -> None:
        self._by_channel: dict[str, dict[str, Fault]] = {"sms": {}, "email": {}}

    def put(self, given: Any) -> None:
        """Replace the faults of the channels named: `{"sms": {"*": {"mode": "refuse"}}}`."""
        if not isinstance(given, dict) or not set(given) <= set(MODES):
            raise BadFault('give an object with "sms" and/or "email"')
        parsed = {channel: _recipients(channel, faults) for channel, faults in given.items()}
        self._by_channel.update(parsed)

    def clear(self) -> None:
        self._by_channel = {"sms": {}, "email": {}}

    def take(self, channel: str, to: str, provider: str = "") -> Fault | None:
        """The fault for this recipient, counted as used; one of the provider's own comes first."""
        faults = self._by_channel[channel]
        names = (f"{provider}:{folded(to)}", f"{provider}:*", folded(to), "*")
        name = next((each for each in names if each in faults), "*")
        fault = faults.get(name)
        if fault is not None and fault.times is not None:
            fault.times -= 1
            if fault.times <= 0:
                del faults[name]
        return fault

    def shown(self) -> dict[str, Any]:
        return {
            channel: {to: {k: v for k, v in vars(fault).items() if v is not None} for to, fault in faults.items()}
            for channel, faults in self._by_channel.items()
        }


def _recipients(channel: str, faults: Any) -> dict[str, Fault]:
    if not isinstance(faults, dict):
        raise BadFault(f'"{channel}" maps a recipient or "*" to a fault')
    return {_named(to): _fault(channel, fault) for to, fault in faults.items()}


def _named(to: str) -> str:
    """A recipient or `*`, behind a provider's name where only that one fails: `vonage:*`."""
    provider, split, rest = to.rpartition(":")
    if split and provider not in PROVIDERS:
        raise BadFault(f"before the colon stands one of {', '.join(PROVIDERS)}")
    return f"{provider}{split}{folded(rest)}"


def _fault(channel: str, fault: Any) -> Fault:
    if not isinstance(fault, dict) or fault.get("mode") not in MODES[channel]:
        raise BadFault(f"the mode for {channel} is one of {', '.join(MODES[channel])}")
    if unknown := set(fault) - {"mode", *NUMBERS}:
        raise BadFault(f'not known: {", ".join(sorted(unknown))}; beside "mode" there are {", ".join(NUMBERS)}')
    ranges = RANGES | {"times": (1, 1_000_000)}
    if fault["mode"] in SMTP_CODES:
        ranges["code"] = SMTP_CODES[fault["mode"]]
    named = channel == "email" and isinstance(fault.get("code"), str) and NAMES.fullmatch(fault["code"])
    for name in set(fault) - {"mode", *(("code",) if named else ())}:
        _check_number(name, fault[name], *ranges[name])
    return Fault(**fault)


def _check_number(name: str, value: Any, low: int, high: int) -> None:
    allowed = (int, float) if name == "seconds" else (int,)
    if isinstance(value, bool) or not isinstance(value, allowed) or not low <= value <= high:
        raise BadFault(f"{name} must be a number from {low} to {high}")
