"""Session events in any order and any number of times: memory, Postgres and the list say what a plain model says."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked
from services.platform.keys.tokens import Token
from services.session_store import apply, listing
from services.session_store.memory import SessionEvent
from services.session_store.reader import Reader
from services.session_store.store import STORE
from tests.integration.session_store.world import Made, World, envelope

STEP = 6 * 3600
MOMENTS = (-400, -360, -300, -100, -20, -3, 0, 1, 5, 40, 200, 1500)
"""In steps from the base; births and lengths lie on the grid, a moment half a step after it: never on an edge."""


class Born(NamedTuple):
    step: int
    epochs: tuple[int, int]
    aud: str


class Ends(NamedTuple):
    kind: str
    which: int
    value: int


SESSIONS = st.lists(
    st.builds(
        Born,
        st.integers(-400, -1),
        st.tuples(st.integers(0, 3), st.integers(0, 3)),
        st.sampled_from(["apps", "apps", "gatepost"]),
    ),
    min_size=3,
    max_size=3,
)
ENDINGS = st.one_of(
    st.builds(Ends, st.sampled_from(["user", "account"]), st.just(0), st.integers(0, 4)),
    st.builds(Ends, st.just("revoked"), st.integers(0, 2), st.just(0)),
    st.builds(Ends, st.just("length"), st.integers(-410, -1), st.integers(1, 500)),
)


def one_length_an_instant(ends: Sequence[Ends]) -> bool:
    """As the gateway sees to."""
    times = [each.which for each in ends if each.kind == "length"]
    return len(times) == len(set(times))


@dataclass
class Story:
    """One account with one user, its events in the order in which they happened, and its base on the clock."""

    base: float
    account: str
    user: str
    made: list[Made]
    born: list[Born]
    ends: list[Ends]

    @classmethod
    def of(cls, world: World, born: list[Born], ends: list[Ends]) -> "Story":
        base, account, user = float(int(time.time()) - STEP // 2), str(uuid4()), str(uuid4())
        made = []
        for each in born:
            at = instant(base, each.step)
            epochs = {"account_epoch": each.epochs[0], "user_epoch": each.epochs[1]}
            made.append(world.session(account=account, user=user, born=at, aud=each.aud, **epochs))
        return cls(base, account, user, made, born, ends)

    def events(self) -> list[SessionEvent]:
        return [*(each.event for each in self.made), *(self._ending(each) for each in self.ends)]

    def _ending(self, end: Ends) -> SessionEvent:
        match end.kind:
            case "length":
                since, seconds = instant(self.base, end.which), end.value * STEP
                return SessionPolicyChanged(**envelope(self.account), effective_at=since, max_age=seconds, by="test")
            case "revoked":
                login_id = self.made[end.which].event.login_id
                return SessionRevoked(**envelope(self.account, self.user, login_id), by="test")
            case _:
                user = self.user if end.kind == "user" else None
                return ExpireAll(**envelope(self.account, user), scope=end.kind, floor=end.value, by="test")  # type: ignore[arg-type]

    def lives(self, which: int, moment: int) -> bool:
        """The model: it sorts nothing, it walks through the session's life step by step."""
        born = self.born[which]
        floors = {scope: [e.value for e in self.ends if e.kind == scope] for scope in ("account", "user")}
        if any(e.kind == "revoked" and e.which == which for e in self.ends):
            return False
        if born.epochs[0] < max(floors["account"], default=0) or born.epochs[1] < max(floors["user"], default=0):
            return False
        if born.aud == "gatepost" and (moment - born.step + 0.5) * STEP > 12 * 3600:
            return False
        return all(step - born.step < self._length_at(step) for step in range(born.step, moment + 1))

    def _length_at(self, step: int) -> int:
        in_force = [(e.which, e.value) for e in self.ends if e.kind == "length" and e.which <= step]
        return max(in_force)[1] if in_force else 90 * 86_400 // STEP


def instant(base: float, step: int) -> datetime:
    return datetime.fromtimestamp(base, UTC) + timedelta(seconds=step * STEP)


class At:
    """The database's clock at another moment."""

    def __init__(self, now: float) -> None:
        self._now = now

    def now(self) -> float:
        return self._now


def readers(world: World, moment: float) -> tuple[Reader, Reader]:
    """At that moment: one that answers from the memory of the running reader, one that Kafka does not reach."""
    store, running = world.app[STORE], world.app[STORE].reader
    parts = (running._connection, store.verifier, running._neighbours)
    made = [Reader(store.pool, At(moment), *parts, 1000) for _ in range(2)]  # type: ignore[arg-type]
    made[0].memory, made[0]._feed, made[1].away = running.memory, running._feed, True
    return made[0], made[1]


async def said(world: World, story: Story, moment: int, which: Sequence[int]) -> tuple[list[bool], list[bool]]:
    """By memory, and by Postgres."""
    near, apart = readers(world, story.base + (moment + 0.5) * STEP)
    tokens: list[Any] = [world.app[STORE].read(story.made[each].token) for each in which]
    return [await lives(near, token) for token in tokens], [await lives(apart, token) for token in tokens]


async def tell(world: World, events: Sequence[SessionEvent]) -> None:
    """As the second road does it."""
    store = world.app[STORE]
    async with store.pool.acquire() as connection, connection.transaction():
        await apply.write(connection, events)
    store.reader.apply(events)


async def lives(reader: Reader, token: Token) -> bool:
    return await reader.alive(token) is not None


@settings(max_examples=50, deadline=None)
@given(born=SESSIONS, ends=st.lists(ENDINGS, min_size=2, max_size=6).filter(one_length_an_instant), data=st.data())
async def test_any_order_and_repetition_leave_what_the_model_says_in_memory_in_postgres_and_in_the_list(
    world: World, born: list[Born], ends: list[Ends], data: st.DataObject
):
    story = Story.of(world, born, ends)
    events = story.events()
    told = data.draw(st.permutations(events + data.draw(st.lists(st.sampled_from(events), max_size=5))))
    await tell(world, told[: len(told) // 2])
    await tell(world, told[len(told) // 2 :])
    for moment in MOMENTS:
        there = [which for which, each in enumerate(born) if each.step <= moment]
        wanted = [story.lives(which, moment) for which in there]
        assert await said(world, story, moment, there) == (wanted, wanted), moment
    found = await listing.page(world.app[STORE].pool, UUID(story.account), None, None, 50)
    wanted_ids = {each.event.login_id for which, each in enumerate(story.made) if story.lives(which, 0)}
    assert {str(each.login_id) for each in found} == wanted_ids


@pytest.mark.parametrize("backwards", [False, True])
async def test_memory_and_postgres_agree_after_every_single_event(world: World, backwards: bool):
    """A fixed story in which every ending has a rival of its kind: the two may be asked at any moment between."""
    epochs = [(9, 9), (9, 1), (3, 9), (9, 9), (9, 9)]
    born = [Born(step, each, "apps") for step, each in zip((-100, -60, -60, -30, -30), epochs, strict=True)]
    ends = [Ends("length", -90, 120), Ends("length", -2, 80), Ends("user", 0, 2), Ends("user", 0, 1)]
    ends += [Ends("account", 0, 4), Ends("account", 0, 3), Ends("revoked", 3, 0)]
    story = Story.of(world, born, ends)
    events = story.events()
    for event in reversed(events) if backwards else events:
        await tell(world, [event])
        memory, postgres = await said(world, story, 0, range(5))
        assert memory == postgres, event
    assert memory == [story.lives(which, 0) for which in range(5)] == [False, False, False, False, True]
