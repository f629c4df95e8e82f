"""An account's own name or number as the sender, and what a refusal of it means."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.delivery.breaker import End
from services.delivery.channels.senders import REFUSED, Senders
from services.delivery.lanes import end_of
from services.delivery.provider import Permanent, Retryable, SenderRefused
from tests.integration.adapters.serving import says, served
from tests.integration.adapters.vendors import BY_SMS, MESSAGE, VENDORS, Vendor
from tests.integration.simulator.drivers import FROM

OWN = replace(MESSAGE, sender="EXAMPLE")
DEFAULT = {"twilio": FROM.replace("+", "%2B"), "vonage": "Gatepost", "webhook": "Gatepost"}
every_vendor = pytest.mark.parametrize("vendor", BY_SMS, ids=repr)
every_refusal = pytest.mark.parametrize(
    ("vendor", "code"),
    [pytest.param(v, e.code, id=f"{v}-{e.code}") for v in BY_SMS for e in v.errors if e.word in REFUSED],
)


def written(body: Any) -> bytes:
    return json.dumps(body).encode()


@every_vendor
async def test_an_accounts_own_sender_is_named(vendor: Vendor):
    async with served(says(vendor.taken[0], written(vendor.taken[1]))) as server:
        channel = vendor.channel(server.url)
        await channel.send(OWN, 5)
        await channel.send(replace(OWN, sender="+442079460199"), 5)
        await channel.send(MESSAGE, 5)
        await channel.close()
    named, numbered, plain = (asked.decode() for _, asked in server.requests)
    assert "EXAMPLE" in named
    assert "442079460199" in numbered
    assert "EXAMPLE" not in plain
    assert DEFAULT[vendor.name] in plain


@every_refusal
async def test_a_refused_sender_is_left_out_the_next_time_and_blames_nobody(vendor: Vendor, code: str):
    status, body = vendor.refusal(code)
    async with served(says(status, written(body))) as server:
        channel = vendor.channel(server.url)
        with pytest.raises(SenderRefused) as refused:
            await channel.send(OWN, 5)
        assert end_of(refused.value) == (End.ANSWERED, None)
        with pytest.raises((Permanent, Retryable)) as again:  # now it is the provider's own that is refused
            await channel.send(OWN, 5)
        assert not isinstance(again.value, SenderRefused)
        await channel.close()
    first, second = (asked.decode() for _, asked in server.requests)
    assert "EXAMPLE" in first
    assert "EXAMPLE" not in second
    assert DEFAULT[vendor.name] in second


@every_vendor
async def test_a_refused_number_says_nothing_about_the_sender(vendor: Vendor):
    code = next(error.code for error in vendor.errors if error.word == "unknown-number")
    status, body = vendor.refusal(code)
    async with served(says(status, written(body))) as server:
        channel = vendor.channel(server.url)
        for _ in range(2):
            with pytest.raises(Permanent):
                await channel.send(OWN, 5)
        await channel.close()
    assert all(b"EXAMPLE" in asked for _, asked in server.requests)


def test_what_one_country_refuses_another_may_take():
    senders = Senders("+15550100")
    german = replace(OWN, to="+4915112345678")
    british = replace(OWN, to="+447700900123")
    known = next(error for error in VENDORS[0].errors if error.word == "bad-sender")
    with pytest.raises(SenderRefused):
        senders.learn(german, known)
    assert (senders.of(german), senders.of(british)) == ("+15550100", "EXAMPLE")
    senders.learn(german, known)  # the default's own refusal is an error like any other
