"""A gateway's receipts: a Standard Webhook, its fields as the file says."""

import time
from collections.abc import Callable
from typing import Any

from services.delivery.channels.calling import json_object
from services.delivery.channels.webhooks.answers import field, first, text_of, texts
from services.delivery.channels.webhooks.files import Receipts
from services.delivery.channels.webhooks.signing import Secret
from services.delivery.ports import Result
from services.delivery.receipts import Forged, Given, Receipt
from services.delivery.states import State
from services.delivery.vendor_errors import code_in, reason


class WebhookReceipts:
    def __init__(self, name: str, secret: Secret, receipts: Receipts, now: Callable[[], float] = time.time) -> None:
        self._name, self._secret, self._receipts, self._now = name, secret, receipts, now

    def read(self, given: Given) -> Receipt:
        """Raises `Forged`: also for one that was signed more than five minutes ago, or ahead."""
        if not self._secret.is_genuine(given.headers, self._now(), given.body):
            raise Forged
        said = json_object(given.body)
        token = field(said, self._receipts.token)
        return Receipt(token if isinstance(token, str) else None, self._result(said))

    def _result(self, said: dict[str, Any]) -> Result | None:
        """None for a status that says nothing yet."""
        status = text_of(field(said, self._receipts.status))
        if status in texts(self._receipts.delivered):
            return Result(state=State.DELIVERED, provider=self._name)
        if status in texts(self._receipts.undelivered):
            return Result(state=State.UNDELIVERED, reason=self._reason(said), provider=self._name)
        return None

    def _reason(self, said: dict[str, Any]) -> str:
        if found := first(self._receipts.errors, None, said):
            return reason(found[0].reason, found[1])
        path = self._receipts.code
        return reason("refused", code_in(text_of(field(said, path))) if path else None)
