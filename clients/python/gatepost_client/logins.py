"""Sign a person in: start, follow the code, send it again, verify."""

import secrets
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing, contextmanager
from typing import Any, TypeVar

import msgspec

from gatepost_client import sse
from gatepost_client.answers import Channel, Context, Login, SignedIn, login_or_signed_in
from gatepost_client.errors import FollowedElsewhere, NotFound, Unavailable, Unexpected, WrongAddress
from gatepost_client.transport import Pause, Transport

PATH = "/v1/logins"
HEADER = "Gatepost-Login"
A = TypeVar("A")
T = TypeVar("T")


class Logins:
    """`login` is a `Login` or its handle `lg_…`; the handle travels in a header, where no log keeps it."""

    def __init__(self, gateway: Transport, pause: Pause) -> None:
        self._gateway = gateway
        self._pause = pause

    async def start(
        self,
        username: str,
        password: str,
        *,
        account: str | None = None,
        context: Context | None = None,
        idempotency_key: str | None = None,
    ) -> SignedIn | Login:
        """`SignedIn` for a user without second factor, else a `Login` whose code is on its way. `idempotency_key`
        (22 to 64 characters): the same again gives the same login; without one, repeats within this call have one.

        Raises `InvalidCredentials`, `TooMany`, `Unavailable`.
        """
        body: dict[str, Any] = {"username": username, "password": password}
        body |= {} if account is None else {"account": account}
        body |= {} if context is None else {"context": msgspec.to_builtins(context)}
        with at_the_gateway():
            answer = await self._gateway.call("POST", PATH, json=body, headers=key(idempotency_key))
        return understood(login_or_signed_in, answer)

    async def verify(self, login: Login | str, code: str, *, idempotency_key: str | None = None) -> SignedIn:
        """The session that the code opens. Raises `WrongCode`, `LoginClosed`, `TooMany`, `Unavailable`."""
        headers = _handle(login) | key(idempotency_key)
        answer = await self._gateway.call("POST", f"{PATH}/-/verify", json={"code": code}, headers=headers)
        return understood(signed_in, answer)

    async def resend(self, login: Login | str, channel: Channel | None = None) -> Login:
        """Send the code again. Raises `TooMany` before `resend_at`, `Conflict` for a channel that is off."""
        body: dict[str, Any] = {} if channel is None else {"json": {"channel": channel}}
        answer = await self._gateway.call("POST", f"{PATH}/-/resend", headers=_handle(login), again=False, **body)
        return understood(login_state, answer)

    async def state(self, login: Login | str) -> Login:
        return understood(login_state, await self._gateway.call("GET", f"{PATH}/-", headers=_handle(login)))

    async def follow(self, login: Login | str) -> AsyncGenerator[Login, None]:
        """The login as it is now and whenever it changes, until it is over; a stream that breaks is taken up again.

        Raises `NotFound`, `FollowedElsewhere`, `Unavailable` when it cannot be taken up.
        """
        while True:
            try:
                async with aclosing(self._stream(login)) as states:
                    async for now in states:
                        yield now
                        if now.over:
                            return
            except Unavailable as away:
                await self._pause(away.retry_after)
                now = await self.state(login)
                if now.over:
                    yield now
                    return

    async def _stream(self, login: Login | str) -> AsyncGenerator[Login, None]:
        stream = self._gateway.stream(f"{PATH}/-/events", _handle(login))
        async with stream as lines, aclosing(sse.events(lines)) as told:
            async for word in told:
                if word.event == "elsewhere":
                    raise FollowedElsewhere("elsewhere", "Two newer streams follow this login.")
                yield understood(login_state, word.data)
        raise Unavailable("stream-ended", "The stream ended before the login did.", 0)


@contextmanager
def at_the_gateway() -> Iterator[None]:
    """Around calls that every gateway has: where there is nothing of the kind, there is another service."""
    try:
        yield
    except NotFound as missing:
        raise WrongAddress("no-gateway", "There is no gateway at this address.", 404) from missing


def understood(read: Callable[[A], T], answer: A) -> T:
    """The answer by `read`. Raises `Unexpected`, which names the field and no value."""
    try:
        return read(answer)
    except (msgspec.ValidationError, msgspec.DecodeError, KeyError) as bad:
        raise Unexpected("not-understood", f"{bad}.") from None


def signed_in(answer: dict[str, Any]) -> SignedIn:
    return msgspec.convert(answer, SignedIn)


def login_state(answer: dict[str, Any] | str) -> Login:
    return msgspec.json.decode(answer, type=Login) if isinstance(answer, str) else msgspec.convert(answer, Login)


def _handle(login: Login | str) -> dict[str, str]:
    return {HEADER: login.login if isinstance(login, Login) else login}


def key(given: str | None) -> dict[str, str]:
    return {"Idempotency-Key": given or secrets.token_urlsafe(24)}
