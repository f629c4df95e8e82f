"""SMTP, driven by aiosmtplib."""

import asyncio
import ssl
from pathlib import Path
from typing import Any

import aiosmtplib
import pytest

from deploy.simulator.server import Running
from tests.integration.simulator.drivers import MAIL, Inbox, mail


async def post(simulator: Running, to: str = MAIL, **more: Any) -> None:
    given: dict[str, Any] = {
        "hostname": "127.0.0.1",
        "port": simulator.smtp_port,
        "start_tls": False,
        "timeout": 5,
    } | more
    await aiosmtplib.send(mail(to), **given)


async def test_a_mail_arrives_with_its_parts(simulator: Running, inbox: Inbox) -> None:
    await post(simulator)
    [found] = await inbox.messages(to="ADA@example.org", channel="email")
    assert (found["code"], found["subject"], found["headers"]["X-Of"]) == ("654321", "Your code", "this test")
    assert "<p>" in found["html"]
    assert await inbox.attempts() == [("email", None, "250")]


@pytest.mark.parametrize(
    ("mode", "more", "code"),
    [("smtp_4xx", {}, 451), ("smtp_4xx", {"code": 421}, 421), ("smtp_5xx", {}, 550), ("smtp_5xx", {"code": 554}, 554)],
)
async def test_a_refused_mail_has_the_code_that_was_asked_for(
    simulator: Running, inbox: Inbox, mode: str, more: dict[str, int], code: int
) -> None:
    await inbox.fault("email", mode, to="Ada@Example.org", **more)
    with pytest.raises(aiosmtplib.SMTPResponseException) as caught:
        await post(simulator)
    assert caught.value.code == code
    assert await inbox.messages() == []
    await post(simulator, to="grace@example.org")
    assert await inbox.attempts() == [("email", mode, str(code)), ("email", None, "250")]


@pytest.mark.parametrize(("mode", "arrived"), [("cut_after_data", 1), ("reset", 0)])
async def test_a_cut_connection_leaves_the_sender_unsure(
    simulator: Running, inbox: Inbox, mode: str, arrived: int
) -> None:
    await inbox.fault("email", mode)
    with pytest.raises(aiosmtplib.SMTPServerDisconnected):
        await post(simulator)
    assert [m["accepted"] for m in await inbox.messages()] == [False] * arrived
    assert await inbox.attempts() == [("email", mode, "cut")]


async def test_a_hanging_server_meets_the_deadline_and_keeps_nothing(simulator: Running, inbox: Inbox) -> None:
    await inbox.fault("email", "hang", seconds=1)
    with pytest.raises((aiosmtplib.SMTPTimeoutError, TimeoutError)):
        await asyncio.wait_for(post(simulator), 0.3)
    assert await inbox.messages() == []
    assert await inbox.attempts() == [("email", "hang", "451")]


async def test_starttls_and_a_login_let_a_mail_in(guarded: Running, cert_file: Path) -> None:
    tls = ssl.create_default_context(cafile=str(cert_file))
    await post(guarded, start_tls=True, tls_context=tls, username="post", password="right")


async def test_a_wrong_password_is_refused(guarded: Running, cert_file: Path) -> None:
    tls = ssl.create_default_context(cafile=str(cert_file))
    with pytest.raises(aiosmtplib.SMTPAuthenticationError):
        await post(guarded, start_tls=True, tls_context=tls, username="post", password="wrong")


async def test_without_a_login_nothing_is_taken(guarded: Running) -> None:
    with pytest.raises(aiosmtplib.SMTPException):
        await post(guarded)


async def test_an_unknown_certificate_is_not_trusted(simulator: Running) -> None:
    with pytest.raises(ssl.SSLCertVerificationError):
        await post(simulator, start_tls=True, tls_context=ssl.create_default_context())


@pytest.mark.parametrize("mode", ["refuse", "error", "rate_limit", "error_after_accept", "slow_drip"])
async def test_faults_of_other_providers_have_their_counterpart_here(
    simulator: Running, inbox: Inbox, mode: str
) -> None:
    await inbox.fault("email", mode, seconds=0)
    code = {"refuse": 550, "error": 451, "rate_limit": 451, "slow_drip": 451}.get(mode)
    with pytest.raises(aiosmtplib.SMTPException) as caught:
        await post(simulator)
    assert getattr(caught.value, "code", None) == code
    assert [m["accepted"] for m in await inbox.messages()] == [False] * (mode == "error_after_accept")
