"""What happens to a user while they sign in: each pair in both orders, with locks that the test holds and lets go."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Final
from uuid import UUID

import pytest

from schemas.events import ExpireAll, LoginClosed, Verified
from services.login_gateway.accounts import EditAccount
from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.house import HOUSE
from services.login_gateway.postgres import accounts, sessions, users
from services.login_gateway.users import EditUser, NewPassword
from services.login_gateway.who import COMMAND_LINE
from tests.integration.gateway_login.world import Desk, Member, eventually

KEY: Final = "a-key-that-is-held-by-the-test"
HOLD_KEY: Final = """
INSERT INTO idempotency (user_id, key, body_mac, login_id, expires_at)
VALUES ($1, $2, '', gen_random_uuid(), now() + interval '1 minute')
"""
WAITING: Final = "SELECT count(*) FROM pg_stat_activity WHERE cardinality(pg_blocking_pids(pid)) > 0 AND query ~ $1"


async def expire_user(desk: Desk, who: Member) -> None:
    admin = desk.app[ADMINISTRATION]
    async with admin.transaction() as (connection, rows):
        rows.extend(await sessions.expire_user(connection, admin.signer, who.user_id, "test"))
    await admin.announce(rows)


async def expire_account(desk: Desk, who: Member) -> None:
    admin = desk.app[ADMINISTRATION]
    async with admin.transaction() as (connection, rows):
        rows.extend(await sessions.expire_account(connection, admin.signer, who.account_id, "test"))
    await admin.announce(rows)


async def suspend(desk: Desk, who: Member) -> None:
    await accounts.change(desk.app[ADMINISTRATION], COMMAND_LINE, who.account, EditAccount(state="suspended"))


async def disable(desk: Desk, who: Member) -> None:
    await _edit(desk, who, EditUser(disabled=True))


async def change_role(desk: Desk, who: Member) -> None:
    await _edit(desk, who, EditUser(kind="integration"))


async def change_password(desk: Desk, who: Member) -> None:
    new = NewPassword(password="another one that is long")
    await users.set_password(desk.app[ADMINISTRATION], COMMAND_LINE, who.account_id, str(who.user_id), new)


async def replace_contact(desk: Desk, who: Member) -> None:
    await _edit(desk, who, EditUser(phone="+447700900001", email="new@example.com"))


async def delete(desk: Desk, who: Member) -> None:
    await users.delete(desk.app[ADMINISTRATION], COMMAND_LINE, who.account_id, str(who.user_id))


async def _edit(desk: Desk, who: Member, edit: EditUser) -> None:
    await users.change(desk.app[ADMINISTRATION], COMMAND_LINE, who.account_id, str(who.user_id), edit)


Happens = Callable[[Desk, Member], Awaitable[None]]
ENDING: Final[list[Happens]] = [expire_user, expire_account, suspend, disable, change_role, change_password]


async def floors_above(desk: Desk, event: Verified) -> bool:
    """Whether the store will call the session dead, in whatever order it hears."""
    found = desk.heard.all(ExpireAll, account_id=event.account_id)
    return any(
        each.floor > (event.user_epoch if each.scope == "user" else event.account_epoch)
        for each in found
        if each.user_id in (None, event.user_id)
    )


@asynccontextmanager
async def password_checked(desk: Desk, who: Member) -> AsyncIterator[Any]:
    """A sign-in that has checked its password and not yet written its login, until the context ends."""
    async with desk.pool.acquire() as other:
        held = other.transaction()
        await held.start()
        await other.execute(HOLD_KEY, who.user_id, desk.app[HOUSE].names.of("key", KEY))
        opening = asyncio.create_task(desk.sign_in(who, Idempotency_Key=KEY))
        await eventually(lambda: desk.pool.fetchval(WAITING, "INSERT INTO idempotency"))
        yield opening
        await held.rollback()


@pytest.mark.parametrize("happens", ENDING)
async def test_a_login_of_before_takes_no_code_when_its_password_was_checked_and_then_that(
    desk: Desk, happens: Happens
) -> None:
    who = await desk.member()
    async with password_checked(desk, who) as opening:
        await happens(desk, who)
    answer = await opening
    assert answer.status == 202
    verified = await desk.verify(answer.data, await desk.heard.code(answer.data))
    assert (verified.status, verified.data["reason"]) == (410, "sessions-expired")
    assert not desk.heard.all(Verified, login_id=answer.data["login_id"])


@pytest.mark.parametrize("happens", [*ENDING, delete])
async def test_a_session_without_a_code_lies_below_the_floor_when_its_password_was_checked_and_then_that(
    desk: Desk, happens: Happens
) -> None:
    who = await desk.member(sms=False)
    async with password_checked(desk, who) as opening:
        await happens(desk, who)
    if (answer := await opening).status == 200:
        event = await desk.heard.one(Verified, user_id=str(who.user_id))
        await eventually(lambda: floors_above(desk, event))
    else:
        assert (answer.status, answer.problem) == (409, "user-changed")


@pytest.mark.parametrize("happens", [delete, replace_contact])
async def test_no_login_is_opened_for_contacts_that_are_gone_since_the_password_was_checked(
    desk: Desk, happens: Happens
) -> None:
    who = await desk.member()
    async with password_checked(desk, who) as opening:
        await happens(desk, who)
    answer = await opening
    assert (answer.status, answer.problem) == (409, "user-changed")
    assert not await desk.pool.fetchval("SELECT count(*) FROM logins WHERE user_id = $1", who.user_id)


class Contest:
    """A verify and what happens meanwhile, both on their way to a login's row that the test holds."""

    def __init__(self, desk: Desk, who: Member, login: dict[str, Any], code: str, happens: Happens) -> None:
        self.desk, self.who, self.login, self.code, self.happens = desk, who, login, code, happens

    @classmethod
    async def of(cls, desk: Desk, happens: Happens) -> "Contest":
        who = await desk.member()
        login = await desk.challenged(who)
        return cls(desk, who, login, await desk.heard.code(login), happens)

    async def run(self, verify_first: bool) -> Any:
        """Let both go; gives verify's answer."""
        steps = [self._verify, self._happen] if verify_first else [self._happen, self._verify]
        async with self.desk.pool.acquire() as other, other.transaction():
            await other.execute("SELECT FROM logins WHERE login_id = $1 FOR UPDATE", UUID(self.login["login_id"]))
            tasks = [await step() for step in steps]
        answers = await asyncio.gather(*tasks)
        return answers[0 if verify_first else 1]

    async def _verify(self) -> asyncio.Task[Any]:
        return await self._until_it_waits(self.desk.verify(self.login, self.code), "attempts \\+ 1|wrong_total \\+ 1")

    async def _happen(self) -> asyncio.Task[Any]:
        return await self._until_it_waits(self.happens(self.desk, self.who), "FROM user_guard|FOR NO KEY UPDATE")

    async def _until_it_waits(self, work: Awaitable[Any], query: str) -> asyncio.Task[Any]:
        task = asyncio.ensure_future(work)

        async def on_its_way() -> bool:
            return task.done() or bool(await self.desk.pool.fetchval(WAITING, query))

        await eventually(on_its_way)
        return task


@pytest.mark.parametrize("happens", [*ENDING, delete])
async def test_a_code_that_was_counted_before_that_opens_a_session_that_is_dead_below_the_floor(
    desk: Desk, happens: Happens
) -> None:
    contest = await Contest.of(desk, happens)
    answer = await contest.run(verify_first=True)
    assert answer.status == 200, answer
    event = await desk.verified(contest.login)
    await eventually(lambda: floors_above(desk, event))
    assert not desk.heard.all(LoginClosed, login_id=contest.login["login_id"])


@pytest.mark.parametrize("happens", [*ENDING, replace_contact, delete])
async def test_a_code_that_comes_after_that_opens_nothing_and_the_login_is_closed_once(
    desk: Desk, happens: Happens
) -> None:
    contest = await Contest.of(desk, happens)
    answer = await contest.run(verify_first=False)
    reason = "contact-changed" if happens is replace_contact else "sessions-expired"
    assert (answer.status, answer.data.get("reason")) == ((404, None) if happens is delete else (410, reason))
    assert (await desk.heard.one(LoginClosed, login_id=contest.login["login_id"])).reason == reason
    assert not desk.heard.all(Verified, login_id=contest.login["login_id"])
    assert len(desk.heard.all(LoginClosed, login_id=contest.login["login_id"])) == 1


async def test_a_code_that_was_counted_before_the_contact_was_replaced_signs_in(desk: Desk) -> None:
    contest = await Contest.of(desk, replace_contact)
    assert (await contest.run(verify_first=True)).status == 200
    assert not await floors_above(desk, await desk.verified(contest.login))
    assert not desk.heard.all(LoginClosed, login_id=contest.login["login_id"])
