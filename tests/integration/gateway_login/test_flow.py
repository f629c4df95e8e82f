"""The login, step by step, as a client and delivery see it."""

import asyncio
import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from schemas.events import CodeDelivered, CodeSent, LoginChallenged, LoginClosed, Verified
from services.login_gateway.house import HOUSE
from services.login_gateway.postgres import logins
from services.platform.clock import event_id
from services.platform.outbox import insert, row_for
from tests.integration.gateway_login.world import PASSWORD, Desk, Member, eventually, wrong

KEY = "a-key-with-at-least-22-characters"


async def test_a_user_without_a_second_factor_is_signed_in_at_once(desk: Desk) -> None:
    who = await desk.member(sms=False)
    answer = await desk.sign_in(who)
    assert answer.status == 200
    assert answer.data["status"] == "signed_in"
    assert answer.data["token"].startswith("gp_")
    assert answer.data["token_type"] == "Bearer"
    assert answer.data["acr"] == "urn:gatepost:acr:pwd"
    assert answer.data["amr"] == ["pwd"]
    event = await desk.heard.one(Verified, user_id=str(who.user_id))
    assert event.channel is None
    assert event.aud == "apps"


async def test_the_code_from_the_event_opens_a_session_of_ninety_days(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    assert login["status"] == "code_required"
    assert login["login"].startswith("lg_")
    assert login["delivery"]["channel"] == "sms"
    assert login["attempts_left"] == 5
    answer = await desk.verify(login, await desk.heard.code(login))
    assert answer.status == 200
    assert answer.data["acr"] == "urn:gatepost:acr:pwd+sms"
    ends = datetime.fromisoformat(answer.data["expires_at"]) - datetime.now(UTC)
    assert timedelta(days=89, hours=23) < ends <= timedelta(days=90)
    event = await desk.verified(login)
    assert event.channel == "sms"
    assert "mfa" in event.amr


async def test_answers_and_events_carry_masked_contacts_only(desk: Desk) -> None:
    who = await desk.member()
    answer = await desk.sign_in(who)
    event = await desk.heard.one(LoginChallenged, login_id=answer.data["login_id"])
    for text in (repr(answer.data), repr(event)):
        assert not [secret for secret in (who.phone, who.email, who.username) if str(secret) in text]
        assert await desk.heard.code(answer.data) not in re.findall(r"\d+", text)
    secrets = desk.heard.contacts_of(event)
    assert (secrets.phone, secrets.email) == (who.phone, who.email)


async def test_the_code_by_email_is_another_one_and_says_that_it_was_email(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    mailed = await desk.heard.code(login, "email")
    answer = await desk.verify(login, mailed)
    assert answer.status == 200
    assert answer.data["acr"] == "urn:gatepost:acr:pwd+email"


async def test_a_user_of_email_alone_is_sent_email(desk: Desk) -> None:
    login = await desk.challenged(await desk.member(sms=False, email=True))
    event = await desk.heard.one(LoginChallenged, login_id=login["login_id"])
    assert event.channels == ("email",)
    assert login["delivery"]["channel"] == "email"


async def test_spaces_and_dashes_in_a_code_are_forgiven(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    assert (await desk.verify(login, f" {code[:3]} - {code[3:]} ")).status == 200


async def test_the_handle_may_stand_in_a_header(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    body = {"code": await desk.heard.code(login)}
    answer = await desk("POST", "/v1/logins/-/verify", body, Gatepost_Login=login["login"])
    assert answer.status == 200


async def test_a_code_works_once(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    assert (await desk.verify(login, code)).status == 200
    again = await desk.verify(login, code)
    assert (again.status, again.problem, again.data["reason"]) == (410, "login-closed", "used")


async def test_another_logins_code_is_refused(desk: Desk) -> None:
    who = await desk.member()
    first, second = await desk.challenged(who), await desk.challenged(who)
    answer = await desk.verify(second, await desk.heard.code(first))
    assert (answer.status, answer.problem) == (401, "wrong-code")
    assert (await desk.verify(second, await desk.heard.code(second))).status == 200
    assert (await desk.verify(first, await desk.heard.code(first))).status == 200


async def test_five_wrong_codes_close_the_login_and_say_so(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    left = [(await desk.verify(login, wrong(code, n))).data.get("attempts_left") for n in range(1, 5)]
    assert left == [4, 3, 2, 1]
    last = await desk.verify(login, wrong(code, 9))
    assert (last.status, last.data["reason"]) == (410, "too-many-attempts")
    assert (await desk.verify(login, code)).status == 410
    closed = await desk.heard.one(LoginClosed, login_id=login["login_id"])
    assert closed.reason == "too-many-attempts"
    assert not desk.heard.all(Verified, login_id=login["login_id"])


async def test_an_expired_login_takes_no_code_and_is_closed(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    await desk.age(login, "expires_at", 400)
    answer = await desk.verify(login, code)
    assert (answer.status, answer.data["reason"]) == (410, "expired")
    assert (await desk.heard.one(LoginClosed, login_id=login["login_id"])).reason == "expired"


async def test_a_right_code_takes_its_own_count_back(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    await desk.verify(login, wrong(code))
    assert (await desk.guard(who))["wrong"] == 1
    assert (await desk.verify(login, code)).status == 200
    guard = await desk.guard(who)
    assert guard["wrong"] == 1
    assert guard["wrong_total"] == 0


async def test_the_status_of_a_login_follows_delivery_outcomes(desk: Desk) -> None:
    who = await desk.member(sms=False)
    login = await unheard_of(desk, who)
    await outcomes(desk, sent(who, login))
    await shown(desk, login, "sent")


async def test_a_late_outcome_undoes_no_newer_word(desk: Desk) -> None:
    """As one that Kafka did not take at once and the sweeper sent: its `time` says when it happened."""
    who = await desk.member(sms=False)
    login, marker = [await unheard_of(desk, who) for _ in range(2)]
    receipt = sent(who, login, CodeDelivered, timedelta(seconds=2))
    await outcomes(desk, receipt, sent(who, login), sent(who, marker))
    await shown(desk, marker, "sent")
    assert await state_of(desk, login) == "delivered"


async def test_what_ended_a_message_stands_whatever_its_time_says(desk: Desk) -> None:
    """A call is timed by its worker, since before its claim; the receipt, by the database."""
    who = await desk.member(sms=False)
    login, marker = [await unheard_of(desk, who) for _ in range(2)]
    ahead = sent(who, login, after=timedelta(seconds=2))
    await outcomes(desk, ahead, sent(who, login, CodeDelivered), ahead, sent(who, marker))
    await shown(desk, marker, "sent")
    assert await state_of(desk, login) == "delivered"


async def test_after_a_resend_only_a_word_about_that_message_says_sent(desk: Desk) -> None:
    who = await desk.member(sms=False)
    login, marker = [await unheard_of(desk, who) for _ in range(2)]
    assert await desk.pool.fetchval(logins.COUNT_SEND, UUID(login["login_id"]), 1, "sms") == 2
    await outcomes(desk, sent(who, login, after=-timedelta(seconds=1)), sent(who, marker))
    await shown(desk, marker, "sent")
    assert await state_of(desk, login) == "queued"
    behind = sent(who, login, after=-timedelta(seconds=1), cause="resend:1")  # delivery's clock need not be ours
    await outcomes(desk, behind)
    await shown(desk, login, "sent")


async def unheard_of(desk: Desk, who: Member) -> dict[str, Any]:
    """A login that waits for a code which nobody was asked to send: only the test tells what became of it."""
    login = (await desk.sign_in(who)).data
    await desk.pool.execute("UPDATE logins SET state = 'pending' WHERE login_id = $1", UUID(login["login_id"]))
    return {**login, "login": desk.app[HOUSE].handles.make(UUID(login["login_id"]))}


def sent(
    who: Member, login: dict[str, Any], kind: Any = CodeSent, after: timedelta = timedelta(), cause: str = "login"
) -> Any:
    """What delivery says `after` now about a login's SMS."""
    return kind(
        id=event_id("test", kind.__name__, login["login_id"], cause),
        source="gatepost/delivery",
        time=datetime.now(UTC) + after,
        account_id=str(who.account_id),
        user_id=str(who.user_id),
        login_id=login["login_id"],
        cause=cause,
        channel="sms",
        provider="test",
        masked="+44 •••• ••67",
        ms_since_login=5,
    )


async def outcomes(desk: Desk, *events: Any) -> None:
    """On the topic in this order: a user's events share its partition."""
    for event in events:
        rows = [row_for(event)]
        async with desk.pool.acquire() as connection:
            await insert(connection, rows)
        assert all([await task for task in desk.app[HOUSE].outbox.publish_soon(rows)])


async def state_of(desk: Desk, login: dict[str, Any]) -> str:
    return str((await desk("GET", f"/v1/logins/{login['login']}")).data["delivery"]["state"])


async def shown(desk: Desk, login: dict[str, Any], state: str) -> None:
    async def is_so() -> bool:
        return await state_of(desk, login) == state

    assert await eventually(is_so, 30)


async def test_the_stream_of_a_login_ends_with_its_sign_in(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    async with desk.http.get(f"{desk.base}/v1/logins/{login['login']}/events") as stream:
        assert stream.content_type == "text/event-stream"
        assert b"code_required" in await stream.content.readuntil(b"\r\n\r\n")
        assert (await desk.verify(login, await desk.heard.code(login))).status == 200
        rest = (await stream.content.read()).decode()
    assert '"status":"signed_in"' in rest
    assert "gp_" not in rest


async def test_one_idempotency_key_opens_one_login(desk: Desk) -> None:
    who = await desk.member()
    first, second = [await desk.sign_in(who, Idempotency_Key=KEY) for _ in range(2)]
    assert first.data["login_id"] == second.data["login_id"]
    assert (await desk.sign_in(who, "wrong password", Idempotency_Key=KEY)).status == 401
    other = await desk.sign_in(who, more={"audience": "gatepost"}, Idempotency_Key=KEY)
    assert (other.status, other.problem) == (422, "idempotency-key-reused")


async def test_an_idempotency_key_belongs_to_its_user(desk: Desk) -> None:
    first, second = [await desk.sign_in(await desk.member(), Idempotency_Key=KEY) for _ in range(2)]
    assert first.data["login_id"] != second.data["login_id"]


async def test_the_same_verify_key_gives_the_same_token_and_another_key_none(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    first, second = [await desk.verify(login, code, Idempotency_Key=KEY) for _ in range(2)]
    assert second.status == 200
    assert first.data["token"] == second.data["token"]
    assert (await desk.verify(login, code, Idempotency_Key=KEY + "x")).status == 410


async def test_the_first_mismatch_ends_the_repetition_of_a_token(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    assert (await desk.verify(login, code, Idempotency_Key=KEY)).status == 200
    assert (await desk.verify(login, wrong(code), Idempotency_Key=KEY)).status == 410
    assert (await desk.verify(login, code, Idempotency_Key=KEY)).status == 410


async def test_a_resend_repeats_the_code_and_has_to_wait(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    early = await desk("POST", f"/v1/logins/{login['login']}/resend")
    assert (early.status, early.problem) == (429, "resend-too-soon")
    assert int(early.headers["Retry-After"]) > 20
    await desk.age(login, "last_send_at", 31)
    assert (await desk("POST", f"/v1/logins/{login['login']}/resend")).status == 202
    assert await desk.heard.code(login, cause="resend:1") == await desk.heard.code(login)


async def test_a_login_has_four_sends(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    for _ in range(3):
        await desk.age(login, "last_send_at", 91)
        assert (await desk("POST", f"/v1/logins/{login['login']}/resend")).status == 202
    await desk.age(login, "last_send_at", 200)
    assert (await desk("POST", f"/v1/logins/{login['login']}/resend")).problem == "resend-too-soon"


async def test_email_cannot_be_asked_for_where_it_is_off(desk: Desk) -> None:
    login = await desk.challenged(await desk.member(email=False))
    await desk.age(login, "last_send_at", 31)
    answer = await desk("POST", f"/v1/logins/{login['login']}/resend", {"channel": "email"})
    assert answer.problem == "channel-not-allowed"


async def test_a_contact_that_changes_while_a_login_is_opened_gets_no_code(desk: Desk) -> None:
    who = await desk.member()
    async with desk.pool.acquire() as other, other.transaction():
        await other.execute("UPDATE users SET phone_hash = 'new' WHERE user_id = $1", who.user_id)
        opening = asyncio.create_task(desk.sign_in(who))
        query = "SELECT count(*) FROM pg_stat_activity WHERE pg_backend_pid() = ANY(pg_blocking_pids(pid))"
        await eventually(lambda: other.fetchval(query))
    answer = await opening
    assert (answer.status, answer.problem) == (409, "user-changed")
    assert not desk.heard.all(LoginChallenged, user_id=str(who.user_id))


async def test_a_code_whose_key_is_not_here_is_a_503_and_costs_no_try(desk: Desk) -> None:
    login = await desk.challenged(await desk.member())
    code = await desk.heard.code(login)
    change = "UPDATE logins SET code_key_id = (code_key_id + $2 + 256) % 256 WHERE login_id = $1"
    await desk.pool.execute(change, UUID(login["login_id"]), 100)
    answer = await desk.verify(login, code)
    assert (answer.status, answer.problem) == (503, "code-key-unavailable")
    await desk.pool.execute(change, UUID(login["login_id"]), -100)
    assert (await desk.verify(login, code)).status == 200


async def test_a_login_under_way_keeps_its_factors(desk: Desk) -> None:
    who = await desk.member(email=True)
    login = await desk.challenged(who)
    await desk.pool.execute("UPDATE users SET sms_on = false WHERE user_id = $1", who.user_id)
    await desk.age(login, "last_send_at", 31)
    answer = await desk("POST", f"/v1/logins/{login['login']}/resend")
    assert (answer.status, answer.data["delivery"]["channel"]) == (202, "sms")


async def test_email_can_be_asked_for_where_it_is_on(desk: Desk) -> None:
    login = await desk.challenged(await desk.member(email=True))
    await desk.age(login, "last_send_at", 31)
    assert (await desk("POST", f"/v1/logins/{login['login']}/resend", {"channel": "email"})).status == 202
    event = await desk.heard.one(LoginChallenged, login_id=login["login_id"], cause="resend:1")
    assert event.channels == ("email",)


@pytest.mark.parametrize("password", ["wrong password", PASSWORD + " ", PASSWORD.upper()])
async def test_a_wrong_password_opens_nothing(desk: Desk, password: str) -> None:
    who = await desk.member()
    answer = await desk.sign_in(who, password)
    assert (answer.status, answer.problem) == (401, "invalid-credentials")
    assert not await desk.pool.fetchval("SELECT count(*) FROM logins WHERE user_id = $1", who.user_id)
