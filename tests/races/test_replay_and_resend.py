"""An operator replays what its user asks for again at that moment: one message for each cause, none after the close."""

import asyncio
from collections import Counter
from typing import Any, NamedTuple

import pytest_asyncio

from deploy.local.stack import Stack
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Contacts
from services.platform.keys.grants import Signer
from services.platform.keys.keyring import Keyrings
from services.platform.keys.tokens import ReceiptTokens
from tests.integration.delivery.conftest import SCOPES, Place, client
from tests.integration.delivery.world import World
from tests.integration.gateway_login.world import Desk, Member, eventually
from tests.integration.session_store.world import World as Store

OVER = {"delivered", "failed", "cancelled", "expired", "undelivered"}


@pytest_asyncio.fixture(scope="session")
async def office(stack: Stack, desk: Desk, near: Store) -> World:
    """The stack's own delivery, and what its provider got."""
    url, inbox, keys = (
        stack.environment.url("delivery"),
        f"http://127.0.0.1:{stack.ports.inbox}",
        stack.environment.keys,
    )
    rings = Keyrings(keys / "gateway")
    auth = await client(Place(stack.kafka, stack.dsn("delivery"), keys, inbox, url), "*", SCOPES)
    return World(
        url=url,
        inbox=inbox,
        kafka=stack.kafka,
        http=desk.http,
        producer=near.producer,
        contacts=Contacts(rings.secret("contacts")),
        codes=Codes(rings.secret("code")),
        signer=Signer(rings.secret("grants")),
        auth=auth,
        tokens=ReceiptTokens(Keyrings(keys / "delivery").secret("receipts")),
    )


class Refused(NamedTuple):
    """A login whose SMS the provider refused, and which may ask for it again."""

    who: Member
    login: dict[str, Any]


async def refused(office: World, desk: Desk) -> Refused:
    who = await desk.member(mail=False)
    await office.faults(sms={str(who.phone): {"mode": "refuse"}})
    one = Refused(who, await desk.challenged(who))
    await eventually(lambda: states_are(office, one, {"login": "failed"}))
    await office.faults()
    await desk.age(one.login, "last_send_at", 31)
    return one


async def timeline(office: World, one: Refused) -> dict[str, Any]:
    async with office.http.get(f"{office.url}/v1/timelines/{one.login['login_id']}", headers=office.auth) as answer:
        return dict(await answer.json()) if answer.status == 200 else {"deliveries": [], "closed": None}


async def states_are(office: World, one: Refused, wanted: dict[str, str]) -> bool:
    rows = (await timeline(office, one))["deliveries"]
    return len(rows) == len(wanted) and {each["cause"]: each["state"] for each in rows} == wanted


async def all_over(office: World, one: Refused, wanted: int) -> bool:
    rows = (await timeline(office, one))["deliveries"]
    return len(rows) == wanted and {each["state"] for each in rows} <= OVER


async def closed(office: World, one: Refused) -> bool:
    return bool((await timeline(office, one))["closed"] == "verified")


async def resend(desk: Desk, one: Refused) -> int:
    return (await desk("POST", f"/v1/logins/{one.login['login']}/resend")).status


async def replay(office: World, one: Refused) -> Any:
    return (await office.call("POST", "/v1/replays", 202, json={"account": str(one.who.account_id)}))["counts"]


async def test_replays_and_resends_at_the_same_moment_send_one_message_for_each_cause_and_none_when_it_was_used(
    office: World, desk: Desk
) -> None:
    one = await refused(office, desk)
    asked = [resend(desk, one), replay(office, one), resend(desk, one), replay(office, one), replay(office, one)]
    answers: list[Any] = await asyncio.gather(*asked)
    sent = Counter(each for each in answers if isinstance(each, int))
    replayed = sum(each["replayed"] for each in answers if isinstance(each, dict))
    assert sent == {202: 1, 429: 1}
    assert replayed <= 1
    await eventually(lambda: all_over(office, one, 2 + replayed), 20)
    rows = (await timeline(office, one))["deliveries"]
    assert len({each["cause"] for each in rows}) == len(rows)
    messages = await office.messages(one.who.phone)
    code = await desk.heard.code(one.login)
    assert [str(each["body"]).endswith(code) for each in messages] == [True] * (1 + replayed)
    assert (await desk.verify(one.login, code)).status == 200
    await eventually(lambda: closed(office, one), 20)
    after = await asyncio.gather(resend(desk, one), replay(office, one))
    assert (after[0], after[1]["replayed"]) == (410, 0)
    assert await all_over(office, one, 2 + replayed)
    assert len(await office.messages(one.who.phone)) == 1 + replayed


async def test_what_was_asked_for_again_and_replayed_but_not_yet_sent_is_cancelled_by_the_sign_in(
    office: World, desk: Desk
) -> None:
    one = await refused(office, desk)
    account = {"account": str(one.who.account_id)}
    await office.call("POST", "/v1/deliveries/pause", json=account)
    assert (await replay(office, one))["replayed"] == 1
    assert await resend(desk, one) == 202
    await eventually(lambda: waits(office, one, 2), 20)
    assert (await desk.verify(one.login, await desk.heard.code(one.login))).status == 200
    await eventually(lambda: closed(office, one), 20)
    await office.call("POST", "/v1/deliveries/resume", json=account)
    await eventually(lambda: all_over(office, one, 3), 20)
    states = Counter(each["state"] for each in (await timeline(office, one))["deliveries"])
    assert states == {"failed": 1, "cancelled": 2}
    assert await office.messages(one.who.phone) == []


async def waits(office: World, one: Refused, wanted: int) -> bool:
    return [each["state"] for each in (await timeline(office, one))["deliveries"]].count("queued") == wanted
