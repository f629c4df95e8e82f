"""Every adapter against every answer: what it took, what it refuses, and all that is no answer."""

import asyncio
import gzip
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, Final

import pytest

from deploy.simulator.certificate import make_tls
from deploy.simulator.server import Running, Settings, running
from services.delivery.provider import Blame, Permanent, Retryable, Unknown
from services.delivery.vendor_errors import VendorError
from tests.integration.adapters.serving import Answer, dripping, endless, nothing, raw, reset, says, served
from tests.integration.adapters.vendors import VENDORS, Vendor, clock
from tests.integration.simulator.drivers import SID, Inbox
from tests.integration.simulator.drivers import TOKEN as TWILIO_TOKEN
from tests.integration.simulator.ses_driver import SES
from tests.integration.simulator.vonage_driver import VONAGE
from tests.integration.simulator.webhook_driver import WEBHOOK

CLASSES: Final = {"retryable": Retryable, "permanent": Permanent, "unknown": Unknown}
TIMEOUT: Final = 0.5
UNREADABLE: Final = "provider-answer-unreadable"
every_vendor = pytest.mark.parametrize("vendor", VENDORS, ids=repr)
every_code = pytest.mark.parametrize(
    ("vendor", "known"), [pytest.param(v, e, id=f"{v}-{e.code}") for v in VENDORS for e in v.errors]
)


async def sent(vendor: Vendor, url: str, timeout: float = 5) -> str:
    channel = vendor.channel(url)
    try:
        return await channel.send(vendor.message, timeout)
    finally:
        await channel.close()


async def trouble(vendor: Vendor, answer: Answer, timeout: float = 5) -> tuple[type[Exception], str, float | None]:
    """The class of the trouble, its reason, and how long it asks to wait."""
    async with served(answer) as server:
        return await trouble_at(vendor, server.url, timeout)


async def trouble_at(vendor: Vendor, url: str, timeout: float = 5) -> tuple[type[Exception], str, float | None]:
    try:
        await sent(vendor, url, timeout)
    except (Retryable, Permanent, Unknown) as found:
        return type(found), found.reason, getattr(found, "after", None)
    raise AssertionError("it was taken")


def written(body: Any) -> bytes:
    return json.dumps(body).encode()


@every_vendor
async def test_a_message_that_was_taken_gives_the_providers_reference(vendor: Vendor):
    status, body = vendor.taken
    async with served(says(status, written(body))) as server:
        assert await sent(vendor, server.url) == body[vendor.refs]
    [(head, asked)] = server.requests
    for each in vendor.asks:
        assert each in asked.decode()
    assert "accept-encoding: identity" in head.lower()


@every_code
async def test_a_refusal_has_the_class_and_the_reason_of_its_code(vendor: Vendor, known: VendorError):
    status, body = vendor.refusal(known.code)
    assert await trouble(vendor, says(status, written(body))) == (CLASSES[known.kind], known.reason, None)


@every_vendor
async def test_a_code_that_nobody_knows_is_a_refusal_for_good_and_is_shown(vendor: Vendor):
    status, body = vendor.refusal("99999")
    assert (await trouble(vendor, says(status, written(body))))[:2] == (Permanent, "refused:99999")


STATUSES: Final = [
    (400, Permanent, "refused:http-400"),
    (401, Permanent, "provider-credentials:http-401"),
    (403, Permanent, "provider-credentials:http-403"),
    (404, Permanent, "refused:http-404"),
    (408, Retryable, "provider-busy:http-408"),
    (425, Retryable, "provider-busy:http-425"),
    (429, Retryable, "rate-limited:http-429"),
    (500, Unknown, "provider-error:http-500"),
    (502, Unknown, "provider-error:http-502"),
    (503, Retryable, "provider-error:http-503"),
    (504, Unknown, "provider-error:http-504"),
]


@every_vendor
@pytest.mark.parametrize(("status", "kind", "reason"), STATUSES)
@pytest.mark.parametrize("body", [b"", b"<html>no</html>", b"[]", b"\xff\xfe"])
async def test_a_status_without_a_readable_body_speaks_for_itself(
    vendor: Vendor, status: int, kind: type[Exception], reason: str, body: bytes
):
    assert (await trouble(vendor, says(status, body)))[:2] == (kind, reason)


@every_vendor
async def test_a_refusal_says_who_is_to_blame(vendor: Vendor):
    for status, blame in ((401, Blame.PROVIDER), (403, Blame.PROVIDER), (404, Blame.NUMBER)):
        assert await blamed(vendor, says(status)) is blame
    for word, blame in (
        ("no-credit", Blame.PROVIDER),
        ("account-suspended", Blame.PROVIDER),
        ("no-route", Blame.ROUTE),
    ):
        for known in vendor.errors:
            if known.word == word:
                status, body = vendor.refusal(known.code)
                assert await blamed(vendor, says(status, written(body))) is blame, known.code


async def blamed(vendor: Vendor, answer: Answer) -> Blame:
    async with served(answer) as server:
        with pytest.raises(Permanent) as caught:
            await sent(vendor, server.url)
    return caught.value.blame


@every_vendor
@pytest.mark.parametrize(
    ("header", "after"),
    [("7", 7.0), ("0.5", 0.5), ("-1", 0.0), ("inf", None), ("nan", None), ("1e999", None), ("", None), ("soon", None)],
)
async def test_the_provider_says_when_to_come_back(vendor: Vendor, header: str, after: float | None):
    assert (await trouble(vendor, says(429, Retry_After=header)))[2] == after


def not_an_answer(vendor: Vendor) -> dict[str, bytes]:
    """Bodies of a success that do not say what was taken."""
    ref = vendor.refs
    return {
        "nothing": b"",
        "no JSON": b"<html>welcome</html>",
        "half of it": written(vendor.taken[1])[:-5],
        "no text": b"\xff\xfe\x00",
        "too deep": b"[" * 60_000,
        "a list": b"[1, 2]",
        "an empty object": b"{}",
        "a number for a reference": written({ref: 7}),
        "an object for a reference": written({ref: {"a": 1}}),
        "an empty reference": written({ref: ""}),
        "a reference with U+0000": written({ref: "SM\u0000"}),
        "a reference without end": written({ref: "a" * 65}),
        "an unknown error inside": written({"code": 99_999, "type": "x#99999"}),
        "a code that is none": written({"code": [1], "error_code": True, "type": 7, "title": {}}),
    }


@every_vendor
@pytest.mark.parametrize("case", not_an_answer(VENDORS[0]))
async def test_a_success_that_cannot_be_read_leaves_doubt(vendor: Vendor, case: str):
    body = not_an_answer(vendor)[case]
    assert await trouble(vendor, says(vendor.taken[0], body)) == (Unknown, UNREADABLE, None)


@every_vendor
async def test_a_success_with_an_error_inside_is_that_error(vendor: Vendor):
    kind, reason, _ = await trouble(vendor, says(200, written(vendor.failed_inside)))
    assert (kind, reason.partition(":")[0]) == (Permanent, vendor.failed_word)


@every_vendor
async def test_a_compressed_answer_is_not_unpacked(vendor: Vendor):
    packed = gzip.compress(written(vendor.taken[1]))
    assert (await trouble(vendor, says(200, packed, Content_Encoding="gzip")))[:2] == (Unknown, UNREADABLE)


@every_vendor
@pytest.mark.parametrize("status", [200, 202, 400, 500])
async def test_an_endless_answer_is_read_up_to_a_bound(vendor: Vendor, status: int):
    count = [0]
    answer = endless(f"HTTP/1.1 {status} Whatever\r\nConnection: close\r\n\r\n".encode(), count)
    started = clock()
    kind, _, _ = await trouble(vendor, answer)
    assert kind is {200: Unknown, 202: Unknown, 400: Permanent, 500: Unknown}[status]
    assert clock() - started < 4
    assert count[0] < 16 * 1024 * 1024  # what the sockets between the two hold


@every_vendor
async def test_endless_headers_leave_doubt(vendor: Vendor):
    count = [0]
    answer = endless(b"HTTP/1.1 200 OK\r\n", count, piece=b"X-More: and more\r\n" * 1000)
    assert (await trouble(vendor, answer))[:2] == (Unknown, UNREADABLE)


@every_vendor
@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (raw(b"hello\r\n\r\n"), UNREADABLE),
        (raw(b"HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{}"), "connection-lost"),
        (raw(b""), "connection-lost"),
        (reset, "connection-lost"),
    ],
    ids=["no HTTP", "half an answer", "nothing", "reset"],
)
async def test_a_broken_conversation_leaves_doubt(vendor: Vendor, answer: Answer, reason: str):
    assert (await trouble(vendor, answer))[:2] == (Unknown, reason)


@every_vendor
@pytest.mark.parametrize("slow", ["silent", "dripping"])
async def test_who_does_not_answer_in_time_leaves_doubt(vendor: Vendor, slow: str):
    answer = nothing if slow == "silent" else dripping(200, written(vendor.taken[1]))
    started = clock()
    assert (await trouble(vendor, answer, TIMEOUT))[:2] == (Unknown, "provider-silent")
    assert TIMEOUT <= clock() - started < TIMEOUT + 2


@every_vendor
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
async def test_a_redirect_is_never_followed(vendor: Vendor, status: int):
    async with served(says(vendor.taken[0], written(vendor.taken[1]))) as elsewhere:
        found = await trouble(vendor, says(status, Location=f"{elsewhere.url}/v1/messages"))
    assert found[:2] == (Unknown, f"provider-redirects:http-{status}")
    assert elsewhere.requests == []


@pytest.fixture
def tls(tmp_path: Path) -> ssl.SSLContext:
    """A certificate that nobody signed."""
    return make_tls(tmp_path / "cert.pem")


@every_vendor
async def test_a_bad_certificate_is_told_nothing_and_may_be_tried_again(vendor: Vendor, tls: ssl.SSLContext):
    async with served(says(vendor.taken[0], written(vendor.taken[1])), tls) as server:
        found = await trouble_at(vendor, server.url)
    assert found[:2] == (Retryable, "provider-certificate")
    assert server.requests == []


@every_vendor
async def test_a_provider_that_nobody_reaches_may_be_tried_again(vendor: Vendor):
    async with served(nothing) as gone:
        pass
    assert (await trouble_at(vendor, gone.url))[:2] == (Retryable, "provider-unreachable")
    assert (await trouble_at(vendor, "http://no.such.host.invalid"))[:2] == (Retryable, "provider-unreachable")


@asynccontextmanager
async def simulated() -> AsyncIterator[Running]:
    async with running(Settings(SID, TWILIO_TOKEN, vonage=VONAGE, ses=SES, webhook=WEBHOOK)) as simulator:
        yield simulator


FAULTS: Final = [
    ("refuse", Permanent, None),
    ("error", Unknown, "provider-error"),
    ("error_after_accept", Unknown, "provider-error"),
    ("rate_limit", Retryable, "rate-limited"),
    ("hang", Unknown, "provider-silent"),
    ("slow_drip", Unknown, "provider-silent"),
    ("reset", Unknown, "connection-lost"),
]


@every_vendor
@pytest.mark.parametrize(("mode", "kind", "word"), FAULTS)
async def test_each_fault_of_the_simulator_has_its_class(
    vendor: Vendor, mode: str, kind: type[Exception], word: str | None, client: Any
):
    async with simulated() as simulator, client(simulator.http_url) as http:
        await Inbox(http).fault(vendor.medium, mode, seconds=30)
        found, reason, after = await trouble_at(vendor, simulator.http_url, TIMEOUT)
        arrived = len(await Inbox(http).messages())
    assert (found, reason.partition(":")[0]) == (kind, word or vendor.errors.of(vendor.default_fault).word)  # type: ignore[union-attr]
    assert after == (2.0 if mode == "rate_limit" else None)
    assert arrived == (mode in ("error_after_accept", "slow_drip"))


@every_vendor
async def test_the_simulator_takes_what_the_adapter_sends(vendor: Vendor, client: Any):
    async with simulated() as simulator, client(simulator.http_url) as http:
        await sent(vendor, simulator.http_url)
        [found] = await Inbox(http).messages(to=vendor.message.to)
        async with http.get("/attempts") as answer:
            [attempt] = (await answer.json())["attempts"]
    assert (found["code"], attempt["ref"]) == ("123456", vendor.ref)


@every_vendor
async def test_many_calls_at_once_share_an_adapter(vendor: Vendor):
    status, body = vendor.taken
    async with served(says(status, written(body))) as server:
        channel = vendor.channel(server.url)
        found = await asyncio.gather(*(channel.send(vendor.message, 5) for _ in range(20)))
        await channel.close()
    assert found == [body[vendor.refs]] * 20
    assert len(server.requests) == 20
