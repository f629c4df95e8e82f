"""Events applied to memory in any order and any number of times leave the same truth."""

import base64
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from schemas.events import ExpireAll, SessionPolicyChanged, SessionRevoked, Verified
from services.session_store.memory import REVOKED_SECONDS, Memory, Place, Session, SessionEvent

ACCOUNT, USER = (str(UUID(int=n)) for n in (1, 2))
LOGINS = [str(UUID(int=n)) for n in (11, 12, 13)]
BORN = datetime(2026, 1, 1, tzinfo=UTC)


def verified(login: str, epoch: int) -> Verified:
    return Verified(
        **envelope(login_id=login),
        issued_at=BORN,
        auth_time=BORN,
        amr=("pwd",),
        acr="urn:gatepost:acr:pwd",
        aud="apps",
        role="user",
        secret_hash=base64.urlsafe_b64encode(bytes(16)).decode(),
        account_epoch=epoch,
        user_epoch=epoch,
    )


def envelope(**more: Any) -> dict[str, Any]:
    return {"id": "e", "source": "test", "time": BORN, "account_id": ACCOUNT, "user_id": USER, **more}


FIRST = [verified(login, epoch) for login, epoch in zip(LOGINS, (5, 10, 20), strict=True)]
OTHERS = st.one_of(
    st.builds(
        lambda scope, floor: ExpireAll(**envelope(), scope=scope, floor=floor, by="test"),
        st.sampled_from(["user", "account"]),
        st.integers(0, 25),
    ),
    st.builds(
        lambda days, age: SessionPolicyChanged(
            **envelope(), effective_at=BORN + timedelta(days=days), max_age=age * 86_400, by="test"
        ),
        st.integers(-5, 60),
        st.integers(1, 120),
    ),
    st.builds(lambda login: SessionRevoked(**envelope(login_id=login), by="test"), st.sampled_from(LOGINS)),
)


def truth(events: list[SessionEvent]) -> dict[UUID, tuple[float, list[bool]]]:
    memory = Memory()
    for event in events:
        memory.apply(event, BORN.timestamp())
    days = [BORN.timestamp() + day * 86_400 for day in range(0, 140, 7)]
    rules = memory.rules
    return {
        each.login_id: (rules.end_of(each), [rules.lets_live(each, now) for now in days])
        for each in memory.sessions.values()
    }


def one_policy_each_instant(events: Sequence[SessionEvent]) -> bool:
    times = [e.effective_at for e in events if isinstance(e, SessionPolicyChanged)]
    return len(times) == len(set(times))


@given(others=st.lists(OTHERS, max_size=8).filter(one_policy_each_instant), data=st.data())
def test_order_and_repetition_change_nothing(others: Sequence[SessionEvent], data: st.DataObject):
    events = [*FIRST, *others]
    repeated = events + data.draw(st.lists(st.sampled_from(events), max_size=6))
    assert truth(data.draw(st.permutations(repeated))) == truth(events)


def test_a_session_verified_before_the_floor_stays_dead_when_it_arrives_late():
    floor = ExpireAll(**envelope(), scope="account", floor=15, by="test")
    alive = {login: lives[0] for login, (_, lives) in truth([floor, *FIRST]).items()}
    assert alive == {UUID(LOGINS[0]): False, UUID(LOGINS[1]): False, UUID(LOGINS[2]): True}


REVOKED = SessionRevoked(**envelope(login_id=LOGINS[0]), by="test")
NOW = BORN.timestamp()


def test_a_cached_session_is_dropped_when_a_revocation_names_it():
    memory = Memory()
    memory.apply(FIRST[0], NOW)
    memory.apply(REVOKED, NOW, Place(3, 41))
    memory.keep(Session.of_event(FIRST[0]))
    assert not memory.sessions


def test_a_revocation_is_kept_until_the_writer_passed_it_and_no_late_verified_can_bring_the_session_back():
    memory = Memory()
    memory.apply(REVOKED, NOW, Place(3, 41))
    memory.rules.forget(NOW + REVOKED_SECONDS - 1, {3: 42})
    memory.rules.forget(NOW + REVOKED_SECONDS + 1, {3: 41})
    assert memory.rules.revoked
    memory.rules.forget(NOW + REVOKED_SECONDS + 1, {3: 42})
    memory.apply(FIRST[0], NOW + REVOKED_SECONDS + 1)
    assert not memory.rules.revoked
    assert not memory.sessions


def test_what_this_process_wrote_to_postgres_itself_waits_for_no_writer():
    memory = Memory()
    memory.apply(REVOKED, NOW)
    memory.rules.forget(NOW + REVOKED_SECONDS + 1, {})
    assert not memory.rules.revoked
