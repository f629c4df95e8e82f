"""Every vendor's errors in one list: for the command line, and for docs/operations.md."""

from collections.abc import Iterable, Iterator
from typing import Any, Final

from services.delivery.channels import ses_errors, twilio_errors, vonage_errors
from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.vendor_errors import VendorError

VENDORS: Final = {errors.vendor: errors for errors in (twilio_errors.ERRORS, vonage_errors.ERRORS, ses_errors.ERRORS)}


def rows(vendor: str | None = None) -> Iterator[dict[str, Any]]:
    for name, errors in VENDORS.items():
        if vendor in (None, name):
            for error in errors:
                yield row(name, error)


def rows_of(webhooks: Iterable[Loaded]) -> Iterator[dict[str, Any]]:
    """What the files of webhooks say."""
    for name, webhook in ((one.name, one.source.webhook) for one in webhooks):
        receipts = webhook.receipts.errors if webhook.receipts is not None else ()
        for rule in (*webhook.answer.errors, *receipts):
            yield row(name, rule.shown())


def row(vendor: str, error: VendorError) -> dict[str, Any]:
    return {
        "provider": vendor,
        "code": error.code,
        "reason": error.word,
        "class": error.kind,
        "means": error.meaning,
        "next": error.next,
    }


def explained(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The errors that these deliveries or steps name, each once."""
    named = dict.fromkeys((one.get("provider"), (one.get("reason") or "").partition(":")[2]) for one in found)
    known = ((vendor, VENDORS[vendor].of(code)) for vendor, code in named if vendor in VENDORS)
    return [row(vendor, error) for vendor, error in known if error]
