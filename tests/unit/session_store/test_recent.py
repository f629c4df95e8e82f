"""The bounded memory of sessions."""

from uuid import UUID

from services.session_store.recent import Recent


def ids(first: int, last: int) -> list[UUID]:
    return [UUID(int=number) for number in range(first, last)]


def test_never_holds_more_than_its_size():
    recent = Recent[int](300)
    for number, key in enumerate(ids(0, 5000)):
        recent[key] = number
        held = len(recent) + len(recent._going)
        assert held <= 300


def test_what_is_asked_for_stays_while_others_come_and_go():
    recent, kept = Recent[str](30), UUID(int=10**6)
    recent[kept] = "kept"
    for key in ids(0, 1000):
        recent[key] = "other"
        assert recent.get(kept) == "kept"


def test_what_nobody_asks_for_is_forgotten():
    recent, forgotten = Recent[str](30), UUID(int=10**6)
    recent[forgotten] = "forgotten"
    for key in ids(0, 1000):
        recent[key] = "other"
    assert recent.get(forgotten) is None
    assert forgotten not in recent


def test_what_is_taken_out_is_gone_whether_young_or_old():
    recent = Recent[int](30)
    for number, key in enumerate(ids(0, 15)):
        recent[key] = number
    assert [recent.pop(key) for key in ids(0, 15)] == list(range(15))
    assert all(recent.get(key) is None and key not in recent for key in ids(0, 15))
    assert len(recent) == 0


def test_a_value_set_again_is_the_new_one_everywhere():
    recent, key = Recent[str](3), UUID(int=1)
    recent[key] = "first"
    recent[UUID(int=2)] = "other"
    recent[key] = "second"
    assert recent.get(key) == "second"
    assert recent.pop(key) == "second"
    assert recent.get(key) is None
