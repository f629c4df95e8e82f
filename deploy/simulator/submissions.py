"""What every simulated provider with an HTTP API does: faults, what arrived, receipts. Each has a file of its own."""

import asyncio
import json
from abc import ABC, abstractmethod
from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any, Final

import aiohttp
import phonenumbers
from aiohttp import web

from deploy.simulator.faults import Fault, Faults
from deploy.simulator.store import Attempt, Message, Store, code_in, now

NOT_TAKEN: Final = ("refuse", "error", "rate_limit", "hang", "reset")
# What an attempt shows as the answer where the client may never see one.
UNANSWERED: Final = {"hang": "hang", "slow_drip": "slow", "reset": "cut", "cut_after_data": "cut"}
# What a mail server's faults are to a provider of e-mail with an HTTP API.
SAME_AS: Final = {"smtp_4xx": "rate_limit", "smtp_5xx": "refuse"}
SEND_SECONDS: Final = 5


@dataclass(frozen=True, kw_only=True)
class Submission:
    """An SMS or an e-mail, whatever its provider calls its fields. `ref` is the sender's own name for it, `key`
    that by which a repeated one is known.
    """

    to: str
    sender: str
    text: str
    ref: str | None
    receipts_at: str | None
    subject: str | None = None
    html: str | None = None
    headers: dict[str, str] | None = None
    key: str | None = None


class HttpProvider(ABC):
    """Holds what is under way; `finals` are the provider's words for delivered and undelivered."""

    name: str
    channel: str = "sms"
    sent_word: str = "sent"
    finals: tuple[str, str] = ("delivered", "undelivered")
    success: int

    def __init__(self, store: Store, faults: Faults) -> None:
        self._store = store
        self._faults = faults
        self._receipts: set[asyncio.Task[None]] = set()

    @abstractmethod
    def add_routes(self, app: web.Application) -> None: ...

    @abstractmethod
    def resource(self, asked: Submission) -> dict[str, Any]:
        """What the provider keeps of it, and tells in receipts."""

    @abstractmethod
    def answer(self, resource: dict[str, Any]) -> dict[str, Any]:
        """The body of its success."""

    @abstractmethod
    def refusal(self, fault: Fault) -> web.Response: ...

    def receipt(self, url: str, resource: dict[str, Any], status: str, forged: bool) -> tuple[bytes, dict[str, str]]:
        """Body and headers, signed."""
        raise NotImplementedError

    async def take(self, request: web.Request, asked: Submission, refused: web.Response | None) -> web.StreamResponse:
        """Answer a submission, `refused` where it is wrong in itself."""
        came = now()
        if refused is not None:
            await self._tried(asked, None, str(refused.status), came, arrived=False)
            return refused
        fault = self._faults.take(self.channel, asked.to, self.name)
        mode = fault.mode if fault else None
        arrived = _alike(mode) not in NOT_TAKEN
        if mode in UNANSWERED:
            await self._tried(asked, mode, UNANSWERED[mode], came, arrived)
        answer = await self._answered(request, asked, fault)
        if mode not in UNANSWERED:
            await self._tried(asked, mode, str(answer.status), came, arrived)
        return answer

    async def _tried(self, asked: Submission, mode: str | None, answered: str, came: str, arrived: bool) -> None:
        code = code_in(asked.text)
        attempt = Attempt(self.channel, asked.to, mode, answered, arrived, code, asked.ref, came, provider=self.name)
        await self._store.tried(attempt)

    async def close(self) -> None:
        for task in self._receipts:
            task.cancel()
        await asyncio.gather(*self._receipts, return_exceptions=True)

    async def _answered(self, request: web.Request, asked: Submission, fault: Fault | None) -> web.StreamResponse:
        if fault is None or fault.mode.endswith("_receipt") or fault.mode == "undelivered":
            return web.json_response(await self._taken(asked, fault), status=self.success)
        match fault.mode:
            case "reset":
                return _cut(request)
            case "slow_drip":
                return await _drip(request, await self._taken(asked, fault), self.success, fault.seconds)
            case "hang":
                await asyncio.sleep(fault.seconds)
            case "error_after_accept":
                await self._accept(asked, fault, accepted=False)
            case "cut_after_data":
                await self._accept(asked, fault, accepted=False)
                return _cut(request)
        return self.refusal(replace(fault, mode=_alike(fault.mode) or fault.mode))

    async def _taken(self, asked: Submission, fault: Fault | None) -> dict[str, Any]:
        resource = await self._accept(asked, fault)
        if self.channel == "sms":
            self._soon(self._progress(asked.receipts_at, resource, fault))
        return dict(self.answer(resource))

    async def _accept(self, asked: Submission, fault: Fault | None, accepted: bool = True) -> dict[str, Any]:
        message = Message(
            self.channel, asked.to, asked.sender, asked.text, asked.subject, asked.html, asked.headers, accepted
        )
        message.fault, message.provider = fault.mode if fault else None, self.name
        await self._store.add(message)
        return self.resource(asked)

    def _soon(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._receipts.add(task)
        task.add_done_callback(self._receipts.discard)

    async def _progress(self, url: str | None, resource: dict[str, Any], fault: Fault | None) -> None:
        """Sent, then delivered or not; each told to `url` unless the fault says otherwise."""
        mode = fault.mode if fault else None
        if fault and mode == "late_receipt":
            await asyncio.sleep(fault.seconds)
        final = self.finals[mode == "undelivered"]
        for status in (self.sent_word, final, *((final,) if mode == "double_receipt" else ())):
            self.changed(resource, status)
            if url and mode != "no_receipt":
                await _post(url, *self.receipt(url, resource, status, mode == "forged_receipt"))

    def changed(self, resource: dict[str, Any], status: str) -> None:
        resource["status"] = status


def _alike(mode: str | None) -> str | None:
    return SAME_AS.get(mode, mode) if mode else None


def possible(number: str) -> bool:
    try:
        return phonenumbers.is_possible_number(phonenumbers.parse(number))
    except phonenumbers.NumberParseException:
        return False


async def _post(url: str, body: bytes, headers: dict[str, str]) -> None:
    timeout = aiohttp.ClientTimeout(total=SEND_SECONDS)
    try:
        async with (
            aiohttp.ClientSession(timeout=timeout) as session,
            session.post(url, data=body, headers=headers) as answer,
        ):
            await answer.read()
    except (aiohttp.ClientError, TimeoutError):
        return


def _cut(request: web.Request) -> web.Response:
    if request.transport is not None:
        request.transport.abort()
    return web.Response(status=500)


async def _drip(request: web.Request, answer: dict[str, Any], status: int, seconds: float) -> web.StreamResponse:
    """The whole answer, in ten pieces over `seconds`."""
    response = web.StreamResponse(status=status, headers={"Content-Type": "application/json"})
    await response.prepare(request)
    body = json.dumps(answer).encode()
    size = len(body) // 10 + 1
    for start in range(0, len(body), size):
        await asyncio.sleep(seconds / 10)
        await response.write(body[start : start + size])
    await response.write_eof()
    return response
