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


def explained(found: list[dict[str, Any]], webhooks: Iterable[Loaded] = ()) -> list[dict[str, Any]]:
    """The errors that these deliveries or steps name, each once."""
    named = dict.fromkeys((one.get("provider"), one.get("reason") or "") for one in found)
    known = ((vendor, VENDORS[vendor].of(reason.partition(":")[2])) for vendor, reason in named if vendor in VENDORS)
    rows = [row(vendor, error) for vendor, error in known if error]
    files = {one.name: one for one in webhooks}
    return rows + [each for name, reason in named if name in files for each in _of_file(files[name], reason)]


def _of_file(webhook: Loaded, reason: str) -> Iterator[dict[str, Any]]:
    word, _, code = reason.partition(":")
    for found in rows_of([webhook]):
        if found["reason"] == word and code in found["code"].split(", "):
            yield found | {"code": code}
