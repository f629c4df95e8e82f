"""One call of a provider over HTTP, with every way that it can go wrong. Retries nothing.

What was certainly not taken is `Retryable`: there was no connection, or the provider says that it cannot take anything.
What nobody can tell is `Unknown`: no answer, half of one, one that cannot be read, a redirect, an error of the server.
"""

import asyncio
import math
from collections.abc import Mapping
from typing import Any, Final, NamedTuple

import aiohttp
import msgspec
from yarl import URL

from services.delivery.provider import Blame, Permanent, Retryable, Unknown
from services.delivery.vendor_errors import VendorErrors, error_of, reason
from services.platform import failpoints

CONNECT_SECONDS: Final = 2.0
LONGEST_ANSWER: Final = 64 * 1024
NOT_TAKEN: Final = {408: "provider-busy", 425: "provider-busy", 429: "rate-limited", 503: "provider-error"}
UNREADABLE: Final = "provider-answer-unreadable"


class Answer(NamedTuple):
    """`said` is the JSON object of the body; empty where it is none, or longer than any provider's answer is."""

    status: int
    after: float | None
    said: dict[str, Any]
    headers: Mapping[str, str] = {}


class Caller:
    """One provider's connections."""

    def __init__(self, headers: dict[str, str], connections: int) -> None:
        self._headers = headers | {"Accept-Encoding": "identity"}
        self._connections = connections
        self._session: aiohttp.ClientSession | None = None

    async def post(self, url: str, body: bytes, timeout: float, headers: dict[str, str] | None = None) -> Answer:
        """The answer within `timeout` seconds. Raises `Retryable` or `Unknown` where there is none."""
        return await self.call("POST", url, body, timeout, headers)

    async def call(
        self, method: str, url: str | URL, body: bytes, timeout: float, headers: dict[str, str] | None = None
    ) -> Answer:
        """As `post`."""
        try:
            async with asyncio.timeout(timeout):
                return await self._call(method, url, body, headers)
        except aiohttp.ClientSSLError:
            raise Retryable("provider-certificate") from None
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise Retryable("provider-unreachable") from None
        except TimeoutError:
            raise Unknown("provider-silent") from None
        except aiohttp.ClientResponseError:
            raise Unknown(UNREADABLE) from None
        except (aiohttp.ClientError, OSError):
            raise Unknown("connection-lost") from None

    async def _call(self, method: str, url: str | URL, body: bytes, headers: dict[str, str] | None) -> Answer:
        session = self._opened()
        async with session.request(method, url, data=body, headers=headers, allow_redirects=False) as answer:
            failpoints.reached("delivery.during-call")
            said = await _read(answer.content)
            return Answer(answer.status, _seconds(answer.headers.get("Retry-After")), json_object(said), answer.headers)

    def _opened(self) -> aiohttp.ClientSession:
        if self._session is None:
            connector = aiohttp.TCPConnector(limit=self._connections, keepalive_timeout=10)
            timeout = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
            self._session = aiohttp.ClientSession(
                headers=self._headers, connector=connector, timeout=timeout, auto_decompress=False
            )
        return self._session

    async def close(self) -> None:
        if self._session is not None:
            await self._session.close()


def refusal(answer: Answer, errors: VendorErrors, code: str | None) -> Retryable | Permanent | Unknown:
    """What an answer that is no success means. A status that says "not now" comes first, then the vendor's code."""
    known, said = errors.of(code), code or f"http-{answer.status}"
    if answer.status in NOT_TAKEN:
        return Retryable(known.reason if known else reason(NOT_TAKEN[answer.status], said), answer.after)
    if known:
        return error_of(known, answer.after)
    if answer.status in (401, 403):
        return Permanent(reason("provider-credentials", said), Blame.PROVIDER)
    if 400 <= answer.status < 500:
        return Permanent(reason("refused", said))
    return Unknown(reason("provider-redirects" if answer.status < 400 else "provider-error", said))


async def _read(content: aiohttp.StreamReader) -> bytes:
    """Nothing where there is more of it than any provider says."""
    read = bytearray()
    while chunk := await content.read(LONGEST_ANSWER + 1 - len(read)):
        read += chunk
        if len(read) > LONGEST_ANSWER:
            return b""
    return bytes(read)


def json_object(body: bytes) -> dict[str, Any]:
    try:
        said = msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return {}
    return said if isinstance(said, dict) else {}


def _seconds(after: str | None) -> float | None:
    try:
        seconds = float(after) if after else math.nan
    except ValueError:
        return None
    return max(0.0, seconds) if math.isfinite(seconds) else None
