"""The client against the running system: sign in, follow, verify, feed, introspect, revoke."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import gatepost_client as gp
from deploy.local.story import Story
from gatepost_client import Gatepost

PASSWORD = "a good long phrase"


async def person(story: Story, **fields: Any) -> Any:
    body = {"username": secrets.token_hex(6), "external_id": secrets.token_hex(6), "password": PASSWORD, **fields}
    return await story.api.expect(201, "gateway", "POST", f"/v1/accounts/{story.account}/users", body)


async def by_email(story: Story) -> tuple[Any, str]:
    contact = f"{secrets.token_hex(6)}@example.com"
    return await person(story, email=contact, two_factor={"email": True}), contact


async def code_of(story: Story, contact: str) -> str:
    return await story.code_for(contact, "email", datetime.now(UTC) - timedelta(minutes=1))


def fed(reference: str, user: Any) -> gp.FedLogin:
    who = gp.FedUser(external_id=user["external_id"])
    return gp.FedLogin(reference=reference, user=who, authenticated_at=datetime.now(UTC))


async def test_a_person_signs_in_is_followed_and_signs_out(story: Story, gatepost: Gatepost):
    user, contact = await by_email(story)
    login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(login, gp.Login)
    code, seen = await code_of(story, contact), list[gp.Login]()
    wrong = f"{(int(code) + 1) % 10 ** len(code):0{len(code)}}"
    with pytest.raises(gp.WrongCode) as tried:
        await gatepost.logins.verify(login, wrong)
    assert tried.value.attempts_left == 4
    opened: gp.SignedIn | None = None
    async for now in gatepost.logins.follow(login):
        seen.append(now)
        if now.delivery.state == "sent" and opened is None:
            opened = await gatepost.logins.verify(login, code)
    assert opened is not None
    assert (seen[0].attempts_left, seen[-1].status) == (4, "signed_in")
    session = await gatepost.sessions.introspect(opened.token)
    assert session is not None
    assert (session.sub, session.acr, session.jti) == (user["user_id"], opened.acr, opened.login_id)
    await gatepost.sessions.revoke(opened.token)
    assert await gatepost.sessions.introspect(opened.token) is None
    with pytest.raises(gp.LoginClosed) as closed:
        await gatepost.logins.verify(login, code)
    assert closed.value.reason == "used"


async def test_what_a_person_does_wrong_is_told_apart(story: Story, gatepost: Gatepost):
    user, _ = await by_email(story)
    with pytest.raises(gp.InvalidCredentials):
        await gatepost.logins.start(user["username"], "wrong", account="demo")
    login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(login, gp.Login)
    with pytest.raises(gp.TooMany) as soon:
        await gatepost.logins.resend(login)
    assert 1 <= soon.value.retry_after <= 30
    with pytest.raises(gp.NotFound):
        await gatepost.logins.state("lg_forged")


async def test_the_same_key_gives_the_same_login_and_the_same_session(story: Story, gatepost: Gatepost):
    user, contact = await by_email(story)
    key = secrets.token_urlsafe(24)
    made = [
        await gatepost.logins.start(user["username"], PASSWORD, account="demo", idempotency_key=key) for _ in range(2)
    ]
    assert len({login.login_id for login in made}) == 1
    assert isinstance(made[0], gp.Login)
    code = await code_of(story, contact)
    again = [await gatepost.logins.verify(made[0], code, idempotency_key=key) for _ in range(2)]
    assert len({session.token for session in again}) == 1


async def test_fed_logins_open_once_each_and_are_verified_by_reference(story: Story, gatepost: Gatepost):
    coded, contact = await by_email(story)
    plain, run = await person(story), secrets.token_hex(4)
    items = [fed(f"{run}-code", coded), fed(f"{run}-plain", plain), fed(f"{run}-code", coded)]
    items.append(fed(f"{run}-nobody", {"external_id": "nobody"}))
    found = [each async for each in gatepost.feed.send(items, batch=2)]
    assert [each.reference for each in found] == [item.reference for item in items]
    first, signed_in, same, refused = (each.outcome for each in found)
    assert isinstance(first, gp.Login)
    assert isinstance(same, gp.Login)
    assert first.login_id == same.login_id
    assert refused == gp.Refused(reference=f"{run}-nobody", reason="unknown-user")
    assert isinstance(signed_in, gp.SignedIn)
    done = await gatepost.feed.verify(f"{run}-code", await code_of(story, contact))
    assert (await gatepost.feed.state(f"{run}-code")).status == "signed_in"
    assert done.acr == "urn:gatepost:acr:fed+email"
    session = await gatepost.sessions.introspect(done.token)
    assert session is not None
    assert session.sub == coded["user_id"]


async def test_a_client_that_nobody_knows_or_that_may_not_is_told_what_to_do(story: Story, opened: Any):
    stranger = Gatepost(story.api.urls["gateway"], client=("nobody", "x"))
    async with stranger as gatepost:
        with pytest.raises(gp.BadClient, match="clients list"):
            await anext(gatepost.feed.send([fed("r-1", {"external_id": "e"})]))
    body = {"scopes": ["introspect"], "account": story.account, "name": "narrow"}
    made = await story.api.expect(201, "gateway", "POST", "/v1/clients", body)
    async with Gatepost(story.api.urls["gateway"], client=(made["client_id"], made["client_secret"])) as gatepost:
        with pytest.raises(gp.Forbidden, match="scope"):
            await anext(gatepost.feed.send([fed("r-1", {"external_id": "e"})]))


async def test_a_remembered_session_ends_within_its_seconds_after_clear(story: Story, opened: Callable[..., Gatepost]):
    user = await person(story)
    async with opened(remember=0.5) as gatepost:
        signed_in = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
        assert isinstance(signed_in, gp.SignedIn)
        assert await gatepost.sessions.introspect(signed_in.token) is not None
        path = f"/v1/accounts/{story.account}/users/{user['user_id']}/expire-sessions"
        await story.api.expect(200, "gateway", "POST", path)
        await story.becomes(signed_in.token, False)
        asked, known = datetime.now(UTC), gatepost.sessions
        while await known.introspect(signed_in.token) is not None:
            assert datetime.now(UTC) - asked < timedelta(seconds=1), "remembered for longer than it may be"
