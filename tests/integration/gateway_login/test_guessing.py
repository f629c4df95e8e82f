"""What somebody who guesses can do: as much as the counts allow, however many calls they make at once."""

import asyncio
import base64
import os
from collections import Counter
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from schemas.events import LoginChallenged, NoticeRequested, Verified
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.clients import EditClient
from services.login_gateway.house import HOUSE
from services.login_gateway.ports import Rule
from services.login_gateway.postgres import clients, counters, users
from services.login_gateway.users import NewUser, TwoFactor, fold
from services.login_gateway.who import COMMAND_LINE
from tests.integration.gateway_login.world import PASSWORD, Answer, Desk, Member, Place, eventually, opened, wrong

NINE_AN_HOUR_AGO = """
UPDATE user_guard SET wrong_at = array_fill(now() - interval '1 hour', ARRAY[9]) WHERE user_id = $1
"""


async def test_two_hundred_parallel_wrong_guesses_are_five_tries(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    answers = await asyncio.gather(*(desk.verify(login, wrong(code, n)) for n in range(1, 201)))
    assert all(answer.status in (401, 410) for answer in answers), Counter(a.status for a in answers)
    assert sum(answer.status == 401 for answer in answers) == 4
    assert (await desk.guard(who))["wrong"] == 5
    assert (await desk.verify(login, code)).status == 410


async def test_two_hundred_parallel_right_codes_open_one_session(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    answers = await asyncio.gather(*(desk.verify(login, code) for _ in range(200)))
    assert Counter(answer.status for answer in answers) == {200: 1, 410: 199}
    await desk.verified(login)
    assert len(desk.heard.all(Verified, login_id=login["login_id"])) == 1
    assert (await desk.guard(who))["wrong"] == 0


async def test_forty_logins_guessed_in_parallel_are_ten_tries_of_their_user(place: Place, desk: Desk) -> None:
    many = {"logins_per_hour": 100, "sends_per_hour": 100, "sends_per_day": 100, "wrong_passwords_user_15min": 100}
    async with opened(place.but(**many), desk.heard) as busy:
        who = await busy.member()
        logins = await asyncio.gather(*(busy.challenged(who) for _ in range(40)))
        codes = await asyncio.gather(*(busy.heard.code(login) for login in logins))
        pairs = [(login, code) for login, code in zip(logins, codes, strict=True) for _ in range(4)]
        answers = await asyncio.gather(*(busy.verify(login, wrong(code)) for login, code in pairs))
        assert Counter(answer.status for answer in answers) == {401: 10, 429: 150}
        assert (await busy.guard(who))["wrong"] == 10
        assert (await busy.verify(logins[0], codes[0])).status == 429


async def test_counts_survive_a_resend_and_a_new_login(desk: Desk) -> None:
    who = await desk.member()
    first = await desk.challenged(who)
    code = await desk.heard.code(first)
    await desk.verify(first, wrong(code))
    await desk.age(first, "last_send_at", 31)
    answer = await desk("POST", f"/v1/logins/{first['login']}/resend")
    assert answer.data["attempts_left"] == 4
    second = await desk.challenged(who)
    await desk.verify(second, wrong(await desk.heard.code(second)))
    assert (await desk.guard(who))["wrong"] == 2


async def test_a_try_on_a_closed_login_does_not_count_against_its_user(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    await desk.age(login, "expires_at", 400)
    assert (await desk.verify(login, "000000")).status == 410
    assert (await desk.guard(who))["wrong"] == 0


async def test_a_hundred_wrong_codes_in_a_row_lock_the_user(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    await desk.pool.execute("UPDATE user_guard SET wrong_total = 99 WHERE user_id = $1", who.user_id)
    assert (await desk.verify(login, wrong(code))).status == 401
    assert (await desk.guard(who))["locked_at"] is not None
    assert (await desk.verify(login, code)).problem == "too-many-attempts"
    assert (await desk.sign_in(who)).problem == "too-many-attempts"


async def test_who_is_locked_is_told_by_phone_and_mail_once_a_day(desk: Desk) -> None:
    who = await desk.member()
    for _ in range(2):
        login = await desk.challenged(who)
        code = await desk.heard.code(login)
        await desk.pool.execute("UPDATE user_guard SET wrong_total = 99 WHERE user_id = $1", who.user_id)
        await desk.verify(login, wrong(code))
        assert (await desk.guard(who))["locked_at"] is not None
        await users.unlock(desk.app[ADMINISTRATION], COMMAND_LINE, who.account_id, str(who.user_id))
    last = await desk.challenged(who)
    await desk.heard.one(LoginChallenged, login_id=last["login_id"])
    told = desk.heard.all(NoticeRequested, user_id=str(who.user_id))
    assert sorted(event.channel for event in told) == ["email", "sms"]
    assert {event.notice for event in told} == {"locked"}
    assert not any(str(contact) in str(told) for contact in (who.phone, who.email))


async def test_a_lock_holds_even_when_the_contacts_to_tell_do_not_open(desk: Desk) -> None:
    """As after a contacts key was revoked: the guess counts and locks, whoever can still be told is told."""
    who = await desk.member()
    login = await desk.challenged(who)
    code = await desk.heard.code(login)
    broken = "UPDATE users SET phone = '\\x01ff' || substring(phone from 3) WHERE user_id = $1"
    await desk.pool.execute(broken, who.user_id)
    await desk.pool.execute("UPDATE user_guard SET wrong_total = 99 WHERE user_id = $1", who.user_id)
    assert (await desk.verify(login, wrong(code))).status == 401
    assert (await desk.guard(who))["locked_at"] is not None
    assert (await desk.verify(login, code)).problem == "too-many-attempts"
    told = await desk.heard.one(NoticeRequested, user_id=str(who.user_id))
    assert told.channel == "email"


async def test_after_ten_wrong_codes_the_next_codes_have_eight_digits(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    await desk.pool.execute(NINE_AN_HOUR_AGO, who.user_id)
    await desk.verify(login, wrong(await desk.heard.code(login)))
    following = await desk.challenged(who)
    event = await desk.heard.one(LoginChallenged, login_id=following["login_id"])
    code = await desk.heard.code(following)
    assert event.digits == 8
    assert len(code) == 8
    assert (await desk.verify(following, code)).status == 200


async def test_the_sixth_message_to_a_user_within_an_hour_is_refused(desk: Desk) -> None:
    who = await desk.member()
    answers = [await desk.sign_in(who) for _ in range(6)]
    assert [answer.status for answer in answers] == [202] * 5 + [429]
    assert answers[-1].problem == "too-many-attempts"
    assert "Retry-After" in answers[-1].headers


async def test_resends_that_lose_to_another_use_up_nothing(desk: Desk) -> None:
    """One for the login, one for the resend that goes out: three more are left of five, whoever asked meanwhile."""
    who = await desk.member()
    login = await desk.challenged(who)
    await desk.age(login, "last_send_at", 31)
    answers = await asyncio.gather(*(desk("POST", f"/v1/logins/{login['login']}/resend") for _ in range(12)))
    assert Counter(answer.status for answer in answers) == {202: 1, 429: 11}
    assert [(await desk.sign_in(who)).status for _ in range(4)] == [202] * 3 + [429]


async def test_a_user_who_is_locked_is_sent_no_code_again(desk: Desk) -> None:
    login = await desk.challenged(who := await desk.member())
    await desk.age(login, "last_send_at", 31)
    await desk.pool.execute("UPDATE user_guard SET locked_at = now() WHERE user_id = $1", who.user_id)
    answer = await desk("POST", f"/v1/logins/{login['login']}/resend")
    assert (answer.status, answer.problem) == (429, "too-many-attempts")
    assert not desk.heard.all(LoginChallenged, login_id=login["login_id"], cause="resend:1")
    assert await desk.pool.fetchval("SELECT sends FROM logins WHERE login_id = $1", UUID(login["login_id"])) == 1


async def test_one_phone_of_two_users_has_one_count(desk: Desk) -> None:
    first = await desk.member()
    second = await _with_the_phone_of(desk, first)
    answers = [await desk.sign_in(who) for who in (first, second, first, second, first, second)]
    assert [answer.status for answer in answers] == [202] * 5 + [429]


async def test_wrong_passwords_are_counted_before_hashing_and_shut_out_the_right_one(desk: Desk) -> None:
    who = await desk.member()
    answers = await asyncio.gather(*(desk.sign_in(who, f"wrong {n}") for n in range(30)))
    assert Counter(answer.status for answer in answers) == {401: 10, 429: 20}
    assert (await desk.sign_in(who)).status == 429


async def test_unknown_users_are_counted_and_answered_like_known_ones(desk: Desk) -> None:
    who = await desk.member()
    ghost = who._replace(username="nobody-of-that-name")
    known, unknown = await desk.sign_in(who, "wrong"), await desk.sign_in(ghost, "wrong")
    assert known.data == unknown.data
    assert Counter([(await desk.sign_in(ghost)).status for _ in range(12)]) == {401: 9, 429: 3}


@pytest.mark.parametrize("sms", [True, False], ids=["with a code", "without"])
async def test_one_idempotency_key_in_parallel_opens_one_login(desk: Desk, sms: bool) -> None:
    who = await desk.member(sms=sms)
    answers = await asyncio.gather(*(desk.sign_in(who, Idempotency_Key="k" * 30) for _ in range(5)))
    assert {answer.status for answer in answers} == {202 if sms else 200}
    assert len({answer.data["login_id"] for answer in answers}) == 1
    assert len({answer.data.get("token") for answer in answers}) == 1


async def test_calls_with_one_key_use_up_one_message(desk: Desk) -> None:
    who = await desk.member()
    answers = await asyncio.gather(*(desk.sign_in(who, Idempotency_Key="k" * 30) for _ in range(5)))
    assert {answer.status for answer in answers} == {202}
    assert [(await desk.sign_in(who)).status for _ in range(5)] == [202] * 4 + [429]


async def test_an_idempotency_key_that_has_expired_opens_a_new_login(desk: Desk) -> None:
    who = await desk.member()
    first = await desk.sign_in(who, Idempotency_Key="k" * 30)
    await desk.pool.execute("UPDATE idempotency SET expires_at = now() WHERE user_id = $1", who.user_id)
    second = await desk.sign_in(who, Idempotency_Key="k" * 30)
    assert (first.status, second.status) == (202, 202)
    assert first.data["login_id"] != second.data["login_id"]


async def test_parallel_sign_ins_of_one_user_do_not_hinder_each_other(desk: Desk) -> None:
    who = await desk.member(sms=False)
    answers: list[Answer] = await asyncio.gather(*(desk.sign_in(who) for _ in range(40)))
    assert Counter(answer.status for answer in answers) == {200: 40}


async def test_who_waited_in_vain_for_other_sign_ins_is_told_so(desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are no wrong passwords, and a quarter of an hour is not what it takes."""
    monkeypatch.setattr(counters, "PATIENCE_SECONDS", 0.3)
    who, house = await desk.member(sms=False), desk.app[HOUSE]
    name = house.names.of("password", who.account_id, fold(who.username))
    for _ in range(10):
        assert await house.counters.begin(name, Rule(10, 900))
    answer = await desk.sign_in(who)
    assert (answer.status, answer.problem, answer.headers["Retry-After"]) == (503, "busy", "1")
    await house.counters.end([name], wrong=False)
    assert (await desk.sign_in(who)).status == 200


async def test_right_passwords_leave_no_count_behind(desk: Desk) -> None:
    who = await desk.member(sms=False)
    await asyncio.gather(*(desk.sign_in(who) for _ in range(20)))
    answers = await asyncio.gather(*(desk.sign_in(who, f"wrong {n}") for n in range(12)))
    assert Counter(answer.status for answer in answers) == {401: 10, 429: 2}


async def test_a_limited_address_does_not_use_up_what_its_victim_may_try(place: Place, desk: Desk) -> None:
    async with opened(place.but(wrong_passwords_address_15min=3), desk.heard) as strict:
        guesser = await strict.client("introspect")
        victim, other = await strict.member(sms=False), await strict.member(sms=False)
        there = {"context": {"ip": f"203.0.113.{os.urandom(1)[0]}"}}
        statuses = [(await strict.sign_in(other, "wrong", there, Authorization=guesser)).status for _ in range(4)]
        assert statuses == [401, 401, 401, 429]
        for _ in range(12):
            assert (await strict.sign_in(victim, "wrong", there, Authorization=guesser)).status == 429
        assert (await desk.sign_in(victim)).status == 200


async def test_a_wrong_code_in_the_time_of_long_codes_prolongs_it(desk: Desk) -> None:
    who = await desk.member()
    login = await desk.challenged(who)
    await desk.pool.execute(
        "UPDATE user_guard SET long_codes_until = now() + interval '1 day' WHERE user_id = $1", who.user_id
    )
    await desk.verify(login, wrong(await desk.heard.code(login)))
    until = (await desk.guard(who))["long_codes_until"]
    assert until > datetime.now(UTC) + timedelta(days=29)


async def test_an_account_where_guessed_logins_pile_up_gets_eight_digits(place: Place, desk: Desk) -> None:
    async with opened(place.but(guessed_logins_account_hour=2), desk.heard) as watched:
        who, bystander = await watched.member(), await watched.member()
        for _ in range(2):
            login = await watched.challenged(who)
            await watched.verify(login, wrong(await watched.heard.code(login)))
            await watched.age(login, "expires_at", 400)
        query = "SELECT long_codes_until > now() FROM accounts WHERE account_id = $1"
        await eventually(lambda: watched.pool.fetchval(query, who.account_id))
        assert len(await watched.heard.code(await watched.challenged(who))) == 8
        assert len(await watched.heard.code(await watched.challenged(bystander))) == 6


async def test_an_installation_where_guessed_logins_pile_up_gets_eight_digits(place: Place, desk: Desk) -> None:
    who, bystander = await desk.member(), await desk.member()
    login = await desk.challenged(who)
    await desk.verify(login, wrong(await desk.heard.code(login)))
    try:
        async with opened(place.but(guessed_logins_hour=1), desk.heard) as watched:
            await watched.age(login, "expires_at", 400)
            await eventually(lambda: watched.pool.fetchval("SELECT long_codes_until > now() FROM installation"))
            assert len(await watched.heard.code(await watched.challenged(bystander))) == 8
    finally:
        await desk.pool.execute("UPDATE installation SET long_codes_until = NULL")


async def test_a_client_whose_fed_logins_see_too_many_wrong_codes_stops(place: Place, desk: Desk) -> None:
    async with opened(place.but(feed_wrong_codes_hour=3), desk.heard) as strict:
        who = await strict.member()
        platform = await strict.client("feed", account=str(who.account_id))
        fed = await strict.feed(platform, who, "a-1")
        code = await strict.heard.code(fed.data["logins"][0])
        guess = {"code": wrong(code)}
        for _ in range(4):
            answer = await strict("POST", "/v1/feed/logins/a-1/verify", guess, Authorization=platform)
            assert answer.problem == "wrong-code"
        stopped = await strict.feed(platform, who, "a-2")
        assert (stopped.status, stopped.problem) == (403, "feed-stopped")
        client_id = base64.b64decode(platform.split()[1]).decode().partition(":")[0]
        shown = await clients.change(strict.app[ADMINISTRATION], COMMAND_LINE, client_id, EditClient(resume_feed=True))
        assert shown.feed_stopped_at is None
        assert (await strict.feed(platform, who, "a-2")).status == 200


async def test_a_spent_sms_limit_goes_to_email_where_that_is_on(desk: Desk) -> None:
    who = await desk.member(email=True)
    shown = [(await desk.sign_in(who)).data["delivery"]["channel"] for _ in range(6)]
    assert shown == ["sms"] * 5 + ["email"]


async def _with_the_phone_of(desk: Desk, other: Member) -> Member:
    new = NewUser(
        username=other.username + "-2", password=PASSWORD, phone=other.phone, two_factor=TwoFactor(True, False)
    )
    made = await users.create(desk.app[ADMINISTRATION], COMMAND_LINE, other.account_id, new)
    return other._replace(user_id=made.user_id, username=new.username)
