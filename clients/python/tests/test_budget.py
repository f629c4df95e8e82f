"""A platform that heeds what each answer says of its budget meets no 429."""

import json
import time
from dataclasses import dataclass

import pytest
from aiohttp import web
from multidict import CIMultiDict, CIMultiDictProxy
from scripted import Asked, client, problem, references, serving
from test_feeding import logins

import gatepost_client as gp
from gatepost_client.budget import Pace, budget_of


def fields(limit: str, policy: str = '"logins";q=600;w=60;gatepost-unit="logins"') -> CIMultiDictProxy[str]:
    return CIMultiDictProxy(CIMultiDict({"RateLimit": limit, "RateLimit-Policy": policy}))


def test_the_fields_of_the_page_are_understood():
    assert budget_of(fields('"logins";r=11;t=60')) == gp.Budget(left=11, most=600, seconds=60)


@pytest.mark.parametrize(
    ("limit", "policy"),
    [
        ('"proxy";r=1;t=1, "logins";t=60;r=7', '"proxy";q=9;w=1, "logins";w=60;q=600'),
        ('"proxy";what="\\"logins\\";r=3";r=1,"logins";r=7', '"logins";note="a, b; c";q=600;w=60'),
    ],
)
def test_our_policy_is_found_among_others(limit: str, policy: str):
    assert budget_of(fields(limit, policy)) == gp.Budget(left=7, most=600, seconds=60)


@pytest.mark.parametrize(
    ("limit", "policy"),
    [
        ("", ""),
        ('"logins";r=7', ""),
        ('"logins";r=-1;t=60', '"logins";q=600;w=60'),
        ('"logins";r="7"', '"logins";q=600;w=60'),
        ('"logins";r=7', '"logins";q=0;w=60'),
        ('"logins";r=7', '"logins";q=600;w=0'),
        ('"logins";r=7', '"logins";q=9999999999999;w=60'),
        ("limit=100, remaining=50, reset=5", '"logins";q=600;w=60'),
        ('"' * 5000, ";" * 5000),
    ],
)
def test_what_is_not_understood_is_no_budget(limit: str, policy: str):
    assert budget_of(fields(limit, policy)) is None


def test_logins_wait_until_they_fit_and_no_longer():
    pace = Pace()
    assert pace.take(500, 0) == 0, "nothing was told yet"
    pace.told(fields('"logins";r=100;t=60'), 0, 0)
    pace.answered(500)
    assert pace.take(100, 0) == 0
    assert pace.take(50, 0) == pytest.approx(5), "ten a second come in"
    assert pace.take(50, 2) == pytest.approx(8), "those before have their turn"
    pace.answered(100)
    pace.answered(50)
    pace.answered(50)
    assert pace.take(600, 3600) == 0, "it is full again"
    assert pace.take(600, 3600) == 60, "and holds no more than that"


def test_an_answer_that_was_overtaken_hides_no_call():
    """Both calls were sent at 0; the second was counted last and answered first."""
    pace = Pace()
    assert pace.take(25, 0) == pace.take(25, 0) == 0
    pace.told(fields('"logins";r=5;t=60'), 1, 0)
    pace.told(fields('"logins";r=30;t=60'), 2, 0)
    for _ in range(2):
        pace.answered(25)
    assert pace.take(25, 2) == pytest.approx(1), "fifteen are left, ten a second come in"
    pace.told(fields('"logins";r=100;t=60'), 4, 3)
    assert pace.take(75, 4) == 0, "a later call may be told of more"


@dataclass
class Bucket:
    """The budget as docs/feeds.md has it: `q` in a second, filled evenly; a call that does not fit is refused whole."""

    q: int = 500
    spent_until: float = 0.0

    async def __call__(self, asked: Asked) -> web.StreamResponse:
        now, items = time.monotonic(), references(asked)
        spent = max(self.spent_until, now) + len(items) / self.q
        fits = spent <= now + 1
        self.spent_until = spent if fits else self.spent_until
        left = int(self.q * (1 - max(0.0, self.spent_until - now)))
        answer = web.json_response({"logins": [refusal(name) for name in items]})
        answer = answer if fits else problem(429, "feed-budget-spent", 1)
        answer.headers["RateLimit-Policy"] = f'"logins";q={self.q};w=1;gatepost-unit="logins"'
        answer.headers["RateLimit"] = f'"logins";r={left};t=1'
        return answer


def refusal(name: str) -> dict[str, str]:
    return {"reference": name, "status": "refused", "reason": "unknown-user"}


@pytest.mark.parametrize("at_once", [1, 2, 5])
async def test_a_platform_that_is_faster_than_its_budget_is_never_refused(at_once: int):
    bucket, answers = Bucket(), list[int]()

    async def told(asked: Asked) -> web.StreamResponse:
        answer = await bucket(asked)
        answers.append(answer.status)
        return answer

    async with serving(told) as server, client(server) as gatepost:
        begun = time.monotonic()
        assert gatepost.feed.budget is None
        found = [one.reference async for one in gatepost.feed.send(logins(1200), batch=50, at_once=at_once)]
        took = time.monotonic() - begun
        budget = gatepost.feed.budget
    assert found == [f"r-{number}" for number in range(1200)]
    assert set(answers) == {200}
    assert took > 1.35, "a bucket of 500 and then 500 a second"
    assert budget is not None
    assert (budget.most, budget.seconds) == (500, 1)


async def test_where_others_feed_too_a_refusal_is_waited_out():
    bucket = Bucket()

    async def told(asked: Asked) -> web.StreamResponse:
        if len(server.asked) == 3:
            bucket.spent_until = time.monotonic() + 0.999
        return await bucket(asked)

    async with serving(told) as server, client(server) as gatepost:
        found = [one.reference async for one in gatepost.feed.send(logins(500), batch=100, at_once=1)]
    assert found == [f"r-{number}" for number in range(500)]
    sent = [json.loads(asked.body)["logins"][0]["reference"] for asked in server.asked]
    assert sent == ["r-0", "r-100", "r-200", "r-200", "r-300", "r-400"]
