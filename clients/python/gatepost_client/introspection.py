"""Whether a token is alive, and whose it is (RFC 7662, 7009), remembered for a few seconds."""

import asyncio
import hashlib
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any, Final, NamedTuple

import msgspec

from gatepost_client.answers import Session
from gatepost_client.errors import NotFound, WrongAddress
from gatepost_client.logins import understood
from gatepost_client.transport import Transport

LONGEST: Final = 5.0
MOST: Final = 20_000
Clock = Callable[[], float]


class Known(NamedTuple):
    """A live session, as it was at `asked` (monotonic): before the store looked, so it is older than it says."""

    session: Session
    asked: float


class Asking(NamedTuple):
    """A question under way since `asked` (monotonic)."""

    task: asyncio.Task[Session | None]
    asked: float


class Sessions:
    """Needs a client with scope `introspect`. `remember`: seconds, at most 5; a session that was ended elsewhere may
    be seen as live for that long. 0 asks every time. Only live sessions are remembered, `most` of them.
    """

    def __init__(
        self,
        store: Transport,
        *,
        remember: float = 2.0,
        most: int = MOST,
        now: Clock = time.time,
        monotonic: Clock = time.monotonic,
    ) -> None:
        if not 0 <= remember <= LONGEST:
            raise ValueError(f"remember is 0 to {LONGEST:g} seconds")
        self._store = store
        self._remember = remember
        self._most = most
        self._now = now
        self._monotonic = monotonic
        self._known: OrderedDict[bytes, Known] = OrderedDict()
        self._asking: dict[bytes, Asking] = {}

    async def introspect(self, token: str) -> Session | None:
        """The live session; None for a token that is not alive, or not this client's to see.

        Raises `Unavailable` when nobody can tell: that is no "no", and never a "yes".
        """
        if not (token.startswith("gp_") and token.isascii()):
            return None
        name = hashlib.sha256(token.encode()).digest()
        if (session := self._remembered(name)) is not None:
            return session
        found = await asyncio.shield(self._asked(name, token))
        return found if found is not None and found.exp > self._now() else None

    async def revoke(self, token: str) -> None:
        """End the session; also when the token was dead or unknown. Nothing of it is remembered here from now on."""
        name = hashlib.sha256(token.encode()).digest()
        try:
            await self._told("/v1/revoke", token)
        finally:
            self._forget(name)

    def _remembered(self, name: bytes) -> Session | None:
        known = self._known.get(name)
        if known is None:
            return None
        if not self._is_over(known) and known.session.exp > self._now():
            return known.session
        del self._known[name]
        return None

    def _asked(self, name: bytes, token: str) -> asyncio.Task[Session | None]:
        """One question for all who wait for the same token, unless it is older already than an answer may be."""
        now, asking = self._monotonic(), self._asking.get(name)
        if asking is None or now - asking.asked >= self._remember:
            asking = self._asking[name] = Asking(asyncio.create_task(self._ask(name, token, now)), now)
            asking.task.add_done_callback(lambda done: self._answered(name, done))
        return asking.task

    async def _ask(self, name: bytes, token: str, asked: float) -> Session | None:
        answer = await self._told("/v1/introspect", token)
        session: Session | None = understood(_session, answer)
        if session is not None and self._remember and self._is_asking(name, asyncio.current_task()):
            self._keep(name, Known(session, asked))
        return session

    def _is_asking(self, name: bytes, task: asyncio.Task[Any] | None) -> bool:
        asking = self._asking.get(name)
        return asking is not None and asking.task is task

    async def _told(self, path: str, token: str) -> dict[str, Any]:
        try:
            return await self._store.call("POST", path, data={"token": token})
        except NotFound as missing:
            raise WrongAddress("no-session-store", "There is no session store at this address.", 404) from missing

    def _answered(self, name: bytes, task: asyncio.Task[Session | None]) -> None:
        if self._is_asking(name, task):
            del self._asking[name]
        if not task.cancelled():
            task.exception()  # whoever waits has it; nobody may wait any more

    def _keep(self, name: bytes, known: Known) -> None:
        self._known[name] = known
        while self._known and (len(self._known) > self._most or self._is_over(next(iter(self._known.values())))):
            self._known.popitem(last=False)

    def _is_over(self, known: Known) -> bool:
        return self._monotonic() - known.asked >= self._remember

    def _forget(self, name: bytes) -> None:
        """An answer under way to an older question is not remembered either."""
        self._known.pop(name, None)
        self._asking.pop(name, None)


def _session(answer: dict[str, Any]) -> Session | None:
    return msgspec.convert(answer, Session) if answer["active"] is True else None
