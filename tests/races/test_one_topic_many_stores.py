"""The real topic and several store processes: whatever the order on it, all come to the same end, and soon."""

import asyncio
import random
from typing import Any

from schemas.events import Event
from tests.integration.gateway_login.world import Desk, eventually
from tests.integration.session_store.world import Made, World, expire, length, revoked

FLOOD = 800
AT_ONCE = 100
PEOPLE = 6


async def test_a_shuffled_and_repeated_topic_ends_alike_in_every_process_in_postgres_and_in_the_list(
    near: World, stores: dict[str, World]
) -> None:
    seed = random.randrange(2**32)
    shuffle = random.Random(seed)
    told, wanted = tale(near)
    events = told + shuffle.choices(told, k=len(told) // 2)
    shuffle.shuffle(events)
    await asyncio.gather(*(near.publish(event) for event in events))
    await eventually(lambda: all_say(stores, wanted), seconds=20)
    answers: list[Any] = await asyncio.gather(*(store.active(made) for made, _ in wanted for store in stores.values()))
    assert answers == [alive for _, alive in wanted for _ in stores], f"seed {seed}"
    account = wanted[0][0].event.account_id
    await eventually(lambda: listed(near, account, {str(made.event.login_id) for made, alive in wanted if alive}))


def tale(near: World) -> tuple[list[Event], list[tuple[Made, bool]]]:
    """Sessions of one account, what ends some of them, and which live in the end."""
    first = near.session(days_old=40)
    account = first.event.account_id
    old = near.session(days_old=70, account=account)
    low, high = (near.session(days_old=20, account_epoch=n, account=account) for n in (3, 5))
    gone = near.session(days_old=10, account_epoch=9, account=account)
    user_low = near.session(days_old=10, account_epoch=9, account=account)
    user_high = near.session(days_old=5, user=user_low.event.user_id, account_epoch=9, user_epoch=8, account=account)
    made = [first, old, low, high, gone, user_low, user_high]
    ends: list[Event] = [
        expire(first, "account", 2),
        expire(first, "account", 4),
        expire(user_low, "user", 7),
        revoked(gone),
        length(first, 30, days_ago=3),
        length(first, 90, days_ago=1),
    ]
    return [*(each.event for each in made), *ends], [(each, each in (high, user_high)) for each in made]


async def all_say(stores: dict[str, World], wanted: list[tuple[Made, bool]]) -> bool:
    answers = await asyncio.gather(*(store.active(made) for made, _ in wanted for store in stores.values()))
    return list(answers) == [alive for _, alive in wanted for _ in stores]


async def listed(world: World, account: str, wanted: set[str]) -> bool:
    status, answer = await world.call("GET", f"/v1/sessions?account={account}")
    return status == 200 and {each["login_id"] for each in answer["sessions"]} == wanted


async def test_a_login_is_never_called_inactive_right_after_verify_however_much_there_is_to_read(
    near: World, stores: dict[str, World], desk: Desk
) -> None:
    """The flood stands for a busy hour: every store hears of the new session behind it."""
    people = [await desk.member() for _ in range(PEOPLE)]
    logins = await asyncio.gather(*(desk.challenged(who) for who in people * 2))
    codes = await asyncio.gather(*(desk.heard.code(login) for login in logins))
    flood = [near.session() for _ in range(FLOOD)]
    sending = asyncio.create_task(poured(near, flood))
    pairs = zip(logins, codes, strict=True)
    told = await asyncio.gather(*(asked_at_once(desk, stores, flood[0], *each) for each in pairs))
    answers = [answer for one in told for answer in one]
    await sending
    assert set(answers) <= {True, 503}, answers
    assert answers.count(True) > len(answers) / 2
    await asyncio.gather(*(store.becomes(flood[-1], True) for store in stores.values()))


async def poured(near: World, flood: list[Made]) -> None:
    for start in range(0, len(flood), AT_ONCE):
        await asyncio.gather(*(near.publish(each.event) for each in flood[start : start + AT_ONCE]))


async def asked_at_once(desk: Desk, stores: dict[str, World], some: Made, login: Any, code: str) -> list[Any]:
    verified = await desk.verify(login, code)
    assert verified.status == 200, verified
    made = some._replace(token=verified.data["token"])
    return await asyncio.gather(*(store.active(made) for store in stores.values()))
