"""A message to a gateway with an HTTP API, as its file says. Retries nothing.

The request is signed as a Standard Webhook where the file has a secret, and always carries an `Idempotency-Key`: the
same for every try of one message.
"""

import time
from collections.abc import Callable
from typing import Any, Final

from yarl import URL

from services.delivery.channels.calling import UNREADABLE, Answer, Caller, refusal
from services.delivery.channels.senders import Senders
from services.delivery.channels.webhooks.answers import field, first, reference_in, text_of, texts
from services.delivery.channels.webhooks.judging import Loaded
from services.delivery.channels.webhooks.rendering import Request, values_of
from services.delivery.provider import Blame, Message, Permanent, Unknown
from services.delivery.vendor_errors import VendorErrors, code_in, reason

TYPES: Final = {"json": "application/json", "form": "application/x-www-form-urlencoded"}
NONE_KNOWN: Final = VendorErrors("webhook", "", ())


class Webhook:
    def __init__(
        self, loaded: Loaded, receipts_url: str, connections: int = 64, now: Callable[[], float] = time.time
    ) -> None:
        self._source, self._parts = loaded.source, loaded.parts
        self._webhook = loaded.source.webhook
        self.name, self.channel = loaded.name, str(self._webhook.channel)
        self.gives_receipts = self._webhook.receipts is not None
        kind = self._webhook.request.content_type or TYPES[self._webhook.request.format]
        self._caller = Caller({"Content-Type": kind, "Accept": "application/json"}, connections)
        self._senders = Senders(self._webhook.sender)
        self._receipts_url, self._now = receipts_url, now

    async def send(self, message: Message, timeout: float) -> str:
        request = self._written(message)
        headers = request.headers | {"Idempotency-Key": message.delivery_id}
        if self._source.signing is not None:
            headers |= self._source.signing.headers(message.delivery_id, self._now(), request.body)
        method, url = self._webhook.request.method, URL(request.url, encoded=True)  # as it was written
        answer = await self._caller.call(method, url, request.body, timeout, headers)
        return self._outcome(message, answer)

    async def close(self) -> None:
        await self._caller.close()

    def _written(self, message: Message) -> Request:
        """What goes wrong here is about this message and this template: another provider may take it."""
        values = values_of(message, self._senders.of(message), self._receipts_url)
        try:
            return self._parts.render(values | {"secrets": self._source.secrets})
        except Exception:
            raise Permanent("template-does-not-render", Blame.ROUTE) from None

    def _outcome(self, message: Message, answer: Answer) -> str:
        """The gateway's reference; raises the class that the answer belongs to."""
        if found := first(self._webhook.answer.errors, answer.status, answer.said):
            rule, code = found
            if self.channel == "sms":
                self._senders.learn(message, rule.shown()._replace(code=code or ""))
            raise rule.error(code, answer.after)
        if 200 <= answer.status < 300:
            return self._accepted(answer.said)
        raise refusal(answer, NONE_KNOWN, self._code(answer.said))

    def _accepted(self, said: dict[str, Any]) -> str:
        """A success may hold an error: a field that should say that it was taken says something else."""
        taken = self._webhook.answer.taken
        if taken is not None and (told := text_of(field(said, taken.path))) not in texts(taken.equals):
            raise Permanent(reason("refused", self._code(said) or code_in(told))) if told else Unknown(UNREADABLE)
        found = reference_in(said, self._webhook.answer.reference)
        if found is None:
            raise Unknown(UNREADABLE)
        return found

    def _code(self, said: dict[str, Any]) -> str | None:
        path = self._webhook.answer.code
        return code_in(text_of(field(said, path))) if path else None
