"""What only Amazon SES has: its signature, how an e-mail is written, and where it says what went wrong."""

import json
from dataclasses import replace
from typing import Any

import pytest

from services.delivery.channels.ses import Ses
from services.delivery.provider import Message, Permanent, Retryable
from tests.integration.adapters.serving import says, served
from tests.integration.adapters.vendors import MAILED
from tests.integration.simulator.ses_driver import KEY_ID, REGION, SES_SECRET

TAKEN = says(200, b'{"MessageId": "an-id"}')


async def asked(message: Message, **more: Any) -> tuple[str, dict[str, Any]]:
    async with served(TAKEN) as server:
        given = {"region": REGION, "key_id": KEY_ID, "secret": SES_SECRET, "sender": "codes@gatepost.example"}
        channel = Ses(base_url=f"{server.url}/", **(given | more))
        await channel.send(message, 5)
        await channel.close()
    [(head, body)] = server.requests
    return head, json.loads(body)


async def test_an_email_has_text_html_and_says_that_a_machine_wrote_it():
    head, said = await asked(replace(MAILED, locale="de"))
    assert head.startswith("POST /v2/email/outbound-emails HTTP/1.1\r\n")
    simple = said["Content"]["Simple"]
    assert simple["Body"]["Text"] == {"Data": MAILED.text, "Charset": "UTF-8"}
    assert simple["Body"]["Html"] == {"Data": MAILED.html, "Charset": "UTF-8"}
    headers = {each["Name"]: each["Value"] for each in simple["Headers"]}
    assert headers == {
        "Auto-Submitted": "auto-generated",
        "X-Auto-Response-Suppress": "All",
        "Content-Language": "de",
    }
    assert "ConfigurationSetName" not in said


async def test_without_html_there_is_text_only():
    _, said = await asked(replace(MAILED, html=None), configuration_set="codes")
    assert list(said["Content"]["Simple"]["Body"]) == ["Text"]
    assert said["ConfigurationSetName"] == "codes"


@pytest.mark.parametrize(
    ("sender", "written"),
    [
        (None, "codes@gatepost.example"),
        ("Example", "Example <codes@gatepost.example>"),
        ('Ada, "the" first', '"Ada, \\"the\\" first" <codes@gatepost.example>'),
        ("Bücher", "=?utf-8?q?B=C3=BCcher?= <codes@gatepost.example>"),
    ],
)
async def test_an_accounts_own_name_stands_before_the_address(sender: str | None, written: str):
    _, said = await asked(replace(MAILED, sender=sender))
    assert said["FromEmailAddress"] == written


async def test_an_address_that_ses_cannot_take_is_no_call():
    with pytest.raises(Permanent, match="invalid-address"):
        await asked(replace(MAILED, to="ädä@example.org"))


@pytest.mark.parametrize(
    ("header", "reason", "kind"),
    [
        ("SendingPausedException", "account-suspended:SendingPausedException", Permanent),
        ("TooManyRequestsException:http://internal.amazon.com/x", "rate-limited:TooManyRequestsException", Retryable),
        ("aws.protocoltests#MessageRejected", "refused:MessageRejected", Permanent),
        ("New-Exception", "refused:New-Exception", Permanent),
        ("", "refused:http-400", Permanent),
    ],
)
async def test_what_went_wrong_stands_in_a_header(header: str, reason: str, kind: type[Exception]):
    async with served(says(400, b'{"message": "no"}', x_amzn_ErrorType=header)) as server:
        channel = Ses(region=REGION, key_id=KEY_ID, secret=SES_SECRET, sender="a@b.example", base_url=server.url)
        with pytest.raises(kind) as caught:
            await channel.send(MAILED, 5)
        await channel.close()
    assert caught.value.reason == reason  # type: ignore[attr-defined]


def test_without_an_address_of_its_own_a_region_is_asked_at_amazons():
    made = Ses(region="eu-west-1", key_id=KEY_ID, secret=SES_SECRET, sender="a@b.example")
    assert made._url == "https://email.eu-west-1.amazonaws.com/v2/email/outbound-emails"
