"""What somebody who guesses can do: as much as the counts allow, however many calls they make at once."""

import asyncio
from collections import Counter

from schemas.events import LoginChallenged, Verified
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.postgres import users
from services.login_gateway.users import NewUser, TwoFactor
from services.login_gateway.who import COMMAND_LINE
from tests.integration.gateway_login.world import PASSWORD, Answer, Desk, Member, Place, opened, wrong

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


async def test_one_idempotency_key_in_parallel_opens_one_login(desk: Desk) -> None:
    who = await desk.member()
    answers = await asyncio.gather(*(desk.sign_in(who, Idempotency_Key="k" * 30) for _ in range(5)))
    assert {answer.status for answer in answers} <= {202, 409}
    opened = {answer.data["login_id"] for answer in answers if answer.status == 202}
    assert len(opened) == 1


async def test_parallel_sign_ins_of_one_user_do_not_hinder_each_other(place: Place, desk: Desk) -> None:
    async with opened(place.but(wrong_passwords_user_15min=1000), desk.heard) as busy:
        who = await busy.member(sms=False)
        answers: list[Answer] = await asyncio.gather(*(busy.sign_in(who) for _ in range(40)))
        assert Counter(answer.status for answer in answers) == {200: 40}


async def test_two_sign_ins_at_once_leave_no_wrong_password_behind(desk: Desk) -> None:
    who = await desk.member(sms=False)
    for _ in range(4):
        assert {a.status for a in await asyncio.gather(*(desk.sign_in(who) for _ in range(5)))} == {200}


async def _with_the_phone_of(desk: Desk, other: Member) -> Member:
    new = NewUser(
        username=other.username + "-2", password=PASSWORD, phone=other.phone, two_factor=TwoFactor(True, False)
    )
    made = await users.create(desk.app[ADMINISTRATION], COMMAND_LINE, other.account_id, new)
    return other._replace(user_id=made.user_id, username=new.username)
