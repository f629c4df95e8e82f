"""The operators' console without a browser: who may see what, what people type, how a login is drawn."""

import hashlib
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from services.delivery import operations
from services.delivery.deliveries import Delivery, ListQuery, Step, Timeline, told
from services.delivery.operations import fields, words
from services.delivery.operations.picture import LEFT, WIDTH, picture_of
from services.delivery.operations.providers import Limits
from services.delivery.operations.site import HANDLERS
from services.delivery.operations.table import LINKS, PAGES, STANDS_FOR
from services.delivery.who import RIGHTS

STATIC = Path(operations.__file__).parent / "static"
BEGUN = datetime(2026, 11, 26, 3, 0, tzinfo=UTC)
ONE, TWO, LOGIN = (UUID(int=n) for n in (1, 2, 3))


def test_every_page_stands_for_a_call_of_the_api_and_asks_no_less():
    assert HANDLERS.keys() == PAGES.keys()
    for page, call in STANDS_FOR.items():
        assert PAGES[page].roles == {"operator"}
        assert PAGES[page].scopes == frozenset()
        assert PAGES[page].fresh == RIGHTS[call].fresh
        assert "operator" in RIGHTS[call].roles
    assert {("GET", link.address) for link in LINKS} <= PAGES.keys()


def test_every_form_that_changes_something_asks_for_a_fresh_sign_in():
    assert {page for page, right in PAGES.items() if page[0] == "POST" and not right.fresh} == set()


def test_vendored_files_are_those_of_the_table():
    rows = re.findall(r"^\| `([^`]+)` \| .* `([0-9a-f]{64})` \|$", (STATIC / "README.md").read_text(), re.MULTILINE)
    assert {name for name, _ in rows} == {path.name for path in STATIC.glob("*.min.*")}
    for name, digest in rows:
        assert hashlib.sha256((STATIC / name).read_bytes()).hexdigest() == digest


def test_what_does_not_fit_is_named_and_the_rest_is_taken():
    read = fields.read({"account": "me", "state": "failed", "limit": "7", "since": "soon", "who": "x"}, ListQuery)
    assert read.wrong.keys() == {"account", "since"}
    assert (read.value.state, read.value.limit, read.value.account) == ("failed", 7, None)
    assert fields.read({"account": "  ", "state": ""}, ListQuery).wrong == {}


def test_an_empty_limit_is_none():
    assert fields.read({"slots": "", "per_second": "2.5", "weight": "0"}, Limits).value == Limits(
        weight=0, per_second=2.5
    )
    assert fields.read({"slots": "0", "weight": "-1"}, Limits).wrong.keys() == {"slots", "weight"}


@pytest.mark.parametrize(
    ("share", "text"),
    [(None, "–"), (0, "0%"), (1, "100%"), (0.5, "50%"), (0.004, "0.4%"), (0.995, "99.5%"), (0.99999, "99.9%")],
)
def test_a_share_is_never_all_where_something_is_missing(share: float | None, text: str):
    assert words.share(share) == text


def row(delivery_id: UUID, channel: str, cause: str, state: str) -> Delivery:
    return Delivery(
        delivery_id=delivery_id,
        login_id=LOGIN,
        account=ONE,
        user=ONE,
        channel=channel,
        cause=cause,
        state=state,
        reason=None,
        provider=None,
        to="+44 •••• ••67" if channel == "sms" else "a•••@example.com",
        country="GB",
        tries=1,
        created_at=BEGUN,
        updated_at=BEGUN,
        due_at=None,
        expires_at=BEGUN + timedelta(minutes=5),
        email_off=False,
    )


def step(number: int, seconds: float, what: str, delivery: UUID | None, channel: str | None, **more: Any) -> Step:
    at = BEGUN + timedelta(seconds=seconds)
    return Step(id=number, at=at, what=what, login_id=LOGIN, delivery_id=delivery, channel=channel, **more)


def timeline(deliveries: list[Delivery], steps: list[Step]) -> Timeline:
    return Timeline(
        login_id=LOGIN,
        account=ONE,
        user=ONE,
        closed=None,
        begun_at=BEGUN,
        expires_at=BEGUN + timedelta(minutes=5),
        deliveries=deliveries,
        steps=list(told(steps, BEGUN)),
    )


def test_a_login_is_drawn_with_a_lane_for_each_message_in_the_order_of_time():
    deliveries = [row(ONE, "sms", "login", "failed"), row(TWO, "email", "fallback:login", "delivered")]
    steps = [
        step(1, 0.03, "queued", ONE, "sms"),
        step(2, 0.2, "queued", ONE, "sms", provider="twilio", reason="provider-busy", ms=100),
        step(3, 1.0, "failed", ONE, "sms", provider="twilio", reason="invalid-number:21211", ms=80),
        step(4, 1.0, "queued", TWO, "email"),
        step(5, 1.1, "sent", TWO, "email", provider="smtp", ms=60),
        step(6, 9.0, "delivered", TWO, "email", provider="smtp"),
        step(7, 40.0, "login_closed", None, None, reason="verified"),
    ]
    drawn = picture_of(timeline(deliveries, steps))
    sms, email = drawn.lanes
    assert [bar.kind for bar in sms.bars] == ["waits", "refused", "waits", "refused"]
    assert [bar.kind for bar in email.bars] == ["waits", "called", "receipt"]
    assert [mark.tone for mark in email.marks] == ["wait", "good", "good"]
    assert (sms.name, email.name) == ("SMS: at sign-in", "E-mail: the SMS did not arrive")
    places = [mark.x for lane in drawn.lanes for mark in lane.marks]
    assert sorted(places) == places
    assert LEFT < places[0] < places[-1] < WIDTH
    assert drawn.closed is not None
    assert drawn.closed.x > places[-1]
    assert all(bar.width >= 0 for lane in drawn.lanes for bar in lane.bars)
    assert [tick.label for tick in drawn.ticks] == ["0 s", "0.1 s", "1 s", "5 s", "30 s"]


def test_a_login_of_which_only_the_end_is_known_is_drawn_without_lanes():
    drawn = picture_of(timeline([], [step(1, 2.0, "login_closed", None, None, reason="expired")]))
    assert (drawn.lanes, drawn.closed is not None) == ([], True)


def test_a_database_whose_clock_is_behind_draws_nothing_before_the_beginning():
    drawn = picture_of(timeline([row(ONE, "sms", "login", "sent")], [step(1, -0.5, "sent", ONE, "sms", ms=900)]))
    (lane,) = drawn.lanes
    assert (lane.marks[0].x, lane.bars[0].x) == (LEFT, LEFT)
