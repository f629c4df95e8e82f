"""Row of the delivery worker: a backlog of challenges on the topic, a provider that takes 10 ms, one worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Final
from uuid import UUID

from schemas import codec, topics
from schemas.events import Channel, LoginChallenged
from services.platform.clock import event_id, new_id
from services.platform.kafka import Connection, Producer
from services.platform.keys.codes import Codes
from services.platform.keys.contacts import Bound, Contacts, LoginSecrets, seal_login
from tests.bench.figures import Figure, Stopwatch, shown
from tests.bench.world import World, settled

DELAY: Final = 0.010
SLOTS: Final = "256"
LONGEST: Final = 120.0
EDGE: Final = 0.05
PREFIX: Final = "+4478"
MASKED: Final[dict[Channel, str]] = {"sms": "+44 •••• ••00", "email": "u•••@example.com"}
SPREAD: Final = 48_271_123  # numbers of all kinds of beginnings, none twice


async def delivery(world: World) -> AsyncIterator[Figure]:
    """The rate between the first twentieth of the backlog and the last: starting and stopping are left out."""
    count = world.options.backlog
    command = world.usual("delivery")
    await world.stack.child("delivery").stop()
    with world.out.status("challenges …"):
        await _backlog(world, count)
    calls: list[float] = []
    world.provider.delay, world.provider.seen = DELAY, lambda _, now: calls.append(now)
    first, last = round(count * EDGE), round(count * (1 - EDGE))
    await world.run_instead("delivery", command, GATEPOST_TWILIO_RECEIPTS="false", GATEPOST_SLOTS=SLOTS)
    await _until(lambda: len(calls) >= first)
    watch = Stopwatch(world.meter())
    with watch:
        await _until(lambda: len(calls) >= last)
    await _until(lambda: len(calls) >= count)
    figure = watch.figure("delivery", "delivery, provider takes 10 ms, one worker", "messages/s", last - first)
    figure.more = {"backlog": count, "receipts": "off", "slots": SLOTS, "sent_twice": len(calls) - count}
    figure.memory = shown(world.memory())
    figure.hold, figure.held = "1,500/s", figure.rate >= 1500
    world.provider.delay, world.provider.seen = 0.0, None
    await settled()
    await world.run_instead("delivery", command)
    yield figure


async def _until(done: Callable[[], bool]) -> None:
    deadline = time.perf_counter() + LONGEST
    while not done():
        if time.perf_counter() > deadline:
            raise TimeoutError("the backlog does not get smaller")
        await asyncio.sleep(0.002)


async def _backlog(world: World, count: int) -> None:
    producer = Producer(Connection(world.stack.kafka), "bench")
    made = Challenges(world, email=False)  # or who waits for ten seconds goes by e-mail
    for start in range(0, count, 500):
        events = [made.next() for _ in range(min(500, count - start))]
        sends = (producer.send(topics.LOGIN_CHALLENGES.name, *record(event), timeout=30) for event in events)
        await asyncio.gather(*sends)
    await producer.stop()


def record(event: LoginChallenged) -> tuple[bytes, bytes]:
    return topics.key_of(event), codec.encode(event)


class Challenges:
    """Events as the gateway makes them, for people of an account whom nobody knows."""

    def __init__(self, world: World, account: UUID | None = None, email: bool = True) -> None:
        rings = world.rings()
        self._contacts, self._codes = Contacts(rings.secret("contacts")), Codes(rings.secret("code"))
        self._account, self._email, self._number = account or world.account, email, 0

    def next(self) -> LoginChallenged:
        self._number += 1
        now = datetime.now(UTC)
        login_id, user_id, expires = new_id(), new_id(), now + timedelta(seconds=600)
        key_id = self._codes.active_id(now)
        bound = Bound("LoginChallenged", login_id, self._account, user_id, "login", "sms", expires, key_id, 6)
        phone = f"{PREFIX}{self._number * SPREAD % 10**8:08}"
        secrets = LoginSecrets(b"s" * 16, phone, f"user{self._number}@example.com" if self._email else None)
        epoch = int(now.timestamp() * 1000)
        return LoginChallenged(
            id=event_id("LoginChallenged", login_id, "login"),
            source="gatepost/gateway",
            time=now,
            account_id=str(self._account),
            user_id=str(user_id),
            login_id=str(login_id),
            cause="login",
            channels=("sms",),
            sealed=seal_login(self._contacts, bound, secrets),
            masked=MASKED if self._email else {"sms": MASKED["sms"]},
            country="GB",
            code_key_id=key_id,
            digits=6,
            issued_at=now,
            expires_at=expires,
            account_epoch=epoch,
            user_epoch=epoch,
        )
