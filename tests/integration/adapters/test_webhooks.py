"""What only webhooks have: signature, one key for every try, and requests that no value changes the shape of."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import parse_qsl

import pytest
from multidict import CIMultiDict
from standardwebhooks import Webhook as Official

from services.delivery.channels.webhooks.channel import Webhook
from services.delivery.channels.webhooks.signing import TOLERANCE
from services.delivery.provider import Blame, Message, Permanent, Retryable, Unknown
from services.delivery.receipts import Forged, Given
from tests.integration.adapters.serving import Answer, says, served
from tests.integration.adapters.webhook_files import BASE, NOW, TOKEN, file_for, loaded, reader, signed, signed_body
from tests.integration.simulator.drivers import PHONE
from tests.integration.simulator.webhook_driver import RECEIPTS_SECRET, SECRET

MESSAGE: Final = Message("0195f2c4-8a5e-7000-8000-123456789abc", PHONE, "", "Your code is 123456", token=TOKEN)
TAKEN: Final = says(202, b'{"id": 7, "status": "accepted"}')
PLAIN: Final = """
channel = "sms"
sender = "Gatepost"

[secrets]
key = "api_key"

[request]
method = "{method}"
url = "{at}/messages/{{{{ to }}}}?key={{{{ secrets.key }}}}"
format = "{format}"
body = '''
{body}
'''

[request.headers]
Authorization = "AccessKey {{{{ secrets.key }}}}"
X-Sender = "{{{{ sender }}}}"

[answer]
reference = "messages.0.id"
code = "errors.0.code"

[[answer.errors]]
status = 402
reason = "no-credit"
blame = "provider"

[[answer.errors]]
path = "errors.0.description"
equals = ["slow down", "later"]
class = "retryable"
reason = "rate-limited"

[[answer.errors]]
status = 200
path = "errors.0.code"
reason = "bad-sender"
"""
JSON_BODY: Final = '{"to": ["{{ to }}"], "text": "{{ text }}", "from": "{{ sender }}"}'
FORM_BODY: Final = "to={{ to }}&\n  text={{ text }}&from={{ sender }}"


def plain(at: str, body: str = JSON_BODY, form: bool = False, method: str = "POST") -> Webhook:
    kind = "form" if form else "json"
    text = PLAIN.format(at=at, body=body, format=kind, method=method)
    return Webhook(loaded("plain", text, api_key="live_key+/="), f"{BASE}/v1/receipts/plain")


async def asked(message: Message, *, answer: Answer | None = None, **more: Any) -> tuple[str, bytes]:
    """Head and body of the request."""
    async with served(answer or says(200, b'{"messages": [{"id": "an-id"}]}')) as server:
        channel = plain(server.url, **more)
        assert await channel.send(message, 5) == "an-id"
        await channel.close()
    [request] = server.requests
    return request


def header(head: str, name: str) -> str:
    lines = [line.partition(":") for line in head.splitlines()]
    [found] = [value.strip() for other, _, value in lines if other.lower() == name.lower()]
    return found


async def trouble(status: int, said: Any, **headers: str) -> Permanent | Retryable | Unknown:
    async with served(says(status, json.dumps(said).encode(), **headers)) as server:
        channel = plain(server.url)
        with pytest.raises((Permanent, Retryable, Unknown)) as caught:
            await channel.send(MESSAGE, 5)
        await channel.close()
    found = caught.value
    assert isinstance(found, Permanent | Retryable | Unknown)
    return found


async def test_a_request_is_signed_so_that_the_schemes_own_package_accepts_it():
    async with served(TAKEN) as server:
        source = loaded("webhook", file_for("sms", server.url))
        channel = Webhook(source, f"{BASE}/v1/receipts/webhook")
        await channel.send(MESSAGE, 5)
        await channel.close()
    [(head, body)] = server.requests
    headers = {name: header(head, name) for name in ("webhook-id", "webhook-timestamp", "webhook-signature")}
    said = Official(SECRET).verify(body, headers)
    assert (said["to"], said["text"], said["reference"]) == (PHONE, MESSAGE.text, TOKEN)
    with pytest.raises(Exception, match="No matching signature"):
        Official(SECRET).verify(body + b" ", headers)


async def test_every_try_of_one_message_has_the_same_key_and_another_message_another():
    async with served(TAKEN) as server:
        channel = Webhook(loaded("webhook", file_for("sms", server.url)), "")
        for message in (MESSAGE, MESSAGE, replace(MESSAGE, delivery_id="another")):
            await channel.send(message, 5)
        await channel.close()
    keys = [(header(head, "Idempotency-Key"), header(head, "webhook-id")) for head, _ in server.requests]
    assert keys == [(MESSAGE.delivery_id,) * 2] * 2 + [("another", "another")]


async def test_without_a_secret_nothing_is_signed_and_the_files_own_headers_go_out():
    head, body = await asked(MESSAGE, method="PUT")
    assert head.startswith("PUT /messages/%2B4915112345678?key=live_key%2B%2F%3D HTTP/1.1\r\n")
    assert (header(head, "Authorization"), header(head, "X-Sender")) == ("AccessKey live_key+/=", "Gatepost")
    assert header(head, "Content-Type") == "application/json"
    assert header(head, "Idempotency-Key") == MESSAGE.delivery_id
    assert "webhook-" not in head.lower()
    assert json.loads(body) == {"to": [PHONE], "text": MESSAGE.text, "from": "Gatepost"}


HOSTILE: Final = [
    '"}',
    '", "admin": "yes',
    "\\",
    "\r\nX: y",
    "&to=+1",
    "%00",
    "{{ secrets.key }}",
    "</b>",
    "\u2028",
    "𝒜ü\x00",
]


@pytest.mark.parametrize("text", HOSTILE)
async def test_no_text_changes_the_shape_of_a_body(text: str):
    message = replace(MESSAGE, text=f"a{text}b", to=f"+1{text}")
    _, body = await asked(message)
    assert json.loads(body) == {"to": [message.to], "text": message.text, "from": "Gatepost"}
    head, body = await asked(message, body=FORM_BODY, form=True)
    assert parse_qsl(body.decode(), strict_parsing=True) == [
        ("to", message.to),
        ("text", message.text),
        ("from", "Gatepost"),
    ]
    assert header(head, "Content-Type") == "application/x-www-form-urlencoded"
    assert head.split(" ")[1].count("/") == 2


@pytest.mark.parametrize(
    "message",
    [
        replace(MESSAGE, sender="A\r\nX-Admin: yes"),
        replace(MESSAGE, sender="Bücher"),
        replace(MESSAGE, to=".."),
        replace(MESSAGE, text="\ud800", to="\udcff"),
    ],
    ids=["line end", "beyond ASCII", "steps of a path", "no text"],
)
async def test_what_does_not_fit_its_place_is_no_call_and_may_go_elsewhere(message: Message):
    async with served(TAKEN) as server:
        channel = plain(server.url)
        with pytest.raises(Permanent, match="template-does-not-render") as caught:
            await channel.send(message, 5)
        await channel.close()
    assert caught.value.blame is Blame.ROUTE
    assert server.requests == []


async def test_rules_come_before_what_the_status_says():
    found = await trouble(402, {"errors": [{"code": 25}]})
    assert (type(found), found.reason) == (Permanent, "no-credit:http-402")
    assert isinstance(found, Permanent)
    assert found.blame is Blame.PROVIDER
    for description in ("slow down", "later"):
        waits = await trouble(500, {"errors": [{"code": 9, "description": description}]}, Retry_After="7")
        assert (type(waits), waits.reason.partition(":")[0], waits.after) == (Retryable, "rate-limited", 7.0)  # type: ignore[union-attr]
    plain_refusal = await trouble(422, {"errors": [{"code": 21, "description": "other"}]})
    assert (type(plain_refusal), plain_refusal.reason) == (Permanent, "refused:21")


async def test_a_success_with_an_error_inside_is_that_error_and_one_without_a_reference_is_doubt():
    found = await trouble(200, {"errors": [{"code": 12}], "messages": [{"id": "an-id"}]})
    assert (type(found), found.reason) == (Permanent, "bad-sender:12")
    doubtful: list[Any] = [[], [{"id": None}], {"0": {"id": True}}, "x"]
    for said in ({"messages": messages} for messages in doubtful):
        assert (type(await trouble(200, said))) is Unknown


@pytest.mark.parametrize(
    ("said", "kind", "reason"),
    [
        ({"id": "x", "status": "rejected"}, Permanent, "refused:rejected"),
        ({"id": "x", "status": "rejected", "error": {"code": "why"}}, Permanent, "refused:why"),
        ({"id": "x"}, Unknown, "provider-answer-unreadable"),
        ({"id": "x", "status": {"a": 1}}, Unknown, "provider-answer-unreadable"),
    ],
)
async def test_a_field_that_should_say_taken_and_does_not_is_a_refusal(said: Any, kind: type[Exception], reason: str):
    async with served(says(200, json.dumps(said).encode())) as server:
        channel = Webhook(loaded("webhook", file_for("sms", server.url)), "")
        with pytest.raises(kind, match=f"^{reason}$"):
            await channel.send(MESSAGE, 5)
        await channel.close()


async def test_a_number_is_a_reference():
    async with served(TAKEN) as server:
        channel = Webhook(loaded("webhook", file_for("sms", server.url)), "")
        assert await channel.send(MESSAGE, 5) == "7"
        await channel.close()


def forged(given: Given, **headers: str) -> bool:
    try:
        reader().read(replace(given, headers=CIMultiDict({**given.headers, **headers})))
    except Forged:
        return True
    return False


def test_id_and_time_are_signed():
    given = signed("delivered")
    for name in ("webhook-id", "webhook-timestamp"):
        value = given.headers[name]
        for place in range(len(value)):
            other = chr(ord(value[place]) ^ 1)
            assert forged(given, **{name: value[:place] + other + value[place + 1 :]})
        for wrong in ("", value + "0", f"0{value}", f" {value}", value[:-1], "x", "\udcff"):
            assert forged(given, **{name: wrong}), wrong


def test_borders_between_what_is_signed_do_not_move():
    """`a` . `1800000000` . `b` read as an id with a dot in it."""
    body = json.dumps({"data": {"reference": TOKEN, "status": "delivered"}})
    at = datetime.fromtimestamp(NOW, UTC)
    shifted = Official(RECEIPTS_SECRET).sign("x", at, f"{int(NOW)}.{body}")
    given = signed_body({"data": {"reference": TOKEN, "status": "delivered"}})
    assert forged(given, **{"webhook-id": f"x.{int(NOW)}", "webhook-signature": shifted})


@pytest.mark.parametrize(
    ("seconds", "believed"),
    [(0, True), (TOLERANCE, True), (-TOLERANCE, True), (TOLERANCE + 1, False), (-TOLERANCE - 1, False), (-1e9, False)],
)
def test_a_receipt_is_believed_for_five_minutes(seconds: float, believed: bool):
    given = signed_body({"data": {"reference": TOKEN, "status": "delivered"}}, at=NOW + seconds)
    assert forged(given) is not believed


def test_one_signature_of_several_is_enough_while_a_secret_is_changed():
    given = signed("delivered")
    right, wrong = given.headers["webhook-signature"], "v1," + "A" * 43 + "="
    assert not forged(given, **{"webhook-signature": f"{wrong} v1a,xyz {right}"})
    assert forged(given, **{"webhook-signature": f"{wrong} {right.replace('v1,', 'v1a,')} {right[3:]}"})
    assert forged(given, **{"webhook-signature": " ".join([wrong] * 16 + [right])})


@pytest.mark.parametrize("said", [[], 7, "x", {}, {"data": []}, {"data": {"status": {"a": 1}, "reference": 7}}])
def test_a_receipt_of_another_shape_says_nothing(said: Any):
    receipt = reader().read(signed_body(said))
    assert (receipt.token, receipt.result) == (None, None)
