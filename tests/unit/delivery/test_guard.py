"""The pumping guard's rules, as tables."""

from decimal import Decimal
from pathlib import Path

import pytest

from services.delivery import guard, prefixes
from services.delivery.guard import Budget, Figures, Own, Rules
from services.delivery.states import Reason
from services.platform.keys.keyring import Keyrings, Ring

RULES = Rules(number_types=frozenset({"premium-rate", "invalid"}), countries=frozenset({"GB"}))
ONE = Decimal(1)


@pytest.mark.parametrize(
    ("country", "kind", "reason"),
    [
        ("GB", "mobile", None),
        ("GB", "premium-rate", Reason.GUARD_NUMBER_TYPE),
        ("GB", "invalid", Reason.GUARD_NUMBER_TYPE),
        ("LT", "mobile", Reason.GUARD_COUNTRY),
        (None, "mobile", Reason.GUARD_COUNTRY),
    ],
)
def test_a_number_that_no_sms_goes_to(country, kind, reason):
    assert guard.wrong_number(country, kind, RULES) == reason


def test_without_a_list_every_country_gets_sms():
    assert guard.wrong_number(None, "mobile", Rules()) is None


CONVERSION = [
    ("too few to judge by", [Figures(19, 0)], False, None),
    ("enough, and none came back", [Figures(20, 0)], False, Reason.GUARD_CONVERSION),
    ("one in twenty", [Figures(20, 1)], False, Reason.GUARD_CONVERSION),
    ("exactly the part that has to", [Figures(20, 2)], False, None),
    ("nearly all", [Figures(1000, 900)], False, None),
    ("the wider block", [Figures(3, 0), Figures(20, 0)], False, Reason.GUARD_CONVERSION),
    ("an operator lets them through", [Figures(20, 0, lifted=True)], False, None),
    ("the inner block lifted, the outer not", [Figures(20, 0, lifted=True), Figures(30, 0)], False, None),
    ("the outer block lifted, the inner not", [Figures(20, 0), Figures(30, 0, lifted=True)], False, None),
    ("a number that was proven", [Figures(500, 0)], True, None),
    ("nothing known of its beginning", [], False, None),
]


@pytest.mark.parametrize(("case", "figures", "proven", "reason"), CONVERSION)
def test_beginnings_that_do_not_convert(case, figures, proven, reason):
    assert guard.judged(figures, proven, [], ONE, Rules()) == reason, case


@pytest.mark.parametrize(
    ("spent", "cost", "stopped"),
    [("0", "1", False), ("9", "1", False), ("9.5", "1", True), ("10", "0.001", True), ("10", "0", False)],
)
def test_a_budget_is_never_overdrawn_even_for_a_number_that_was_proven(spent, cost, stopped):
    budgets = [Budget(Decimal(0), Decimal(100)), Budget(Decimal(spent), Decimal(10))]
    reason = guard.judged([], True, budgets, Decimal(cost), Rules())
    assert reason == (Reason.GUARD_BUDGET if stopped else None)


@pytest.mark.parametrize(
    ("mode", "fallback", "email_off", "action"),
    [
        ("enforce", "refuse", False, "email"),
        ("enforce", "refuse", True, "refuse"),
        ("enforce", "email", True, "email"),
        ("monitor", "refuse", True, "allow"),
    ],
)
def test_who_has_email_off_gets_one_unless_the_account_refuses_it(mode, fallback, email_off, action):
    rules = Rules(mode=mode, fallback=fallback)
    assert guard.verdict(Reason.GUARD_BUDGET, rules, email_off) == (action, Reason.GUARD_BUDGET)
    assert guard.verdict(None, rules, email_off) == ("allow", None)


def test_an_account_changes_only_what_it_has_of_its_own():
    own = Own(countries=["LT"], daily_budget=2.5, conversion=0.0)
    rules = guard.rules_of(RULES, own)
    assert rules.countries == frozenset({"LT"})
    assert (rules.daily_budget, rules.conversion) == (Decimal("2.5"), 0.0)
    assert (rules.number_types, rules.minimum, rules.mode) == (RULES.number_types, RULES.minimum, "enforce")
    assert guard.rules_of(RULES, None) is RULES


@pytest.mark.parametrize(
    ("provider", "country", "price"),
    [
        ("twilio", "GB", "0.04"),
        ("twilio", "LT", "0.08"),
        ("twilio", None, "0.08"),
        ("vonage", "GB", "0.05"),
        ("vonage", "LT", "0.08"),
    ],
)
def test_an_sms_without_a_price_of_its_own_costs_as_much_as_the_dearest(provider, country, price):
    prices = {"twilio": {"GB": Decimal("0.04"), "*": Decimal("0.08")}, "*": {"GB": Decimal("0.05")}}
    assert guard.price(prices, provider, country) == Decimal(price)


def test_without_prices_each_sms_costs_one():
    assert guard.price({}, "twilio", "GB") == 1


@pytest.mark.parametrize(
    ("number", "kind"),
    [
        ("+447911123456", "mobile"),
        ("+449098790000", "premium-rate"),
        ("+611300123456", "shared-cost"),
        ("+445512345678", "uan"),
        ("+448001234567", "toll-free"),
        ("+447640123456", "pager"),
        ("+12025550123", "fixed-line-or-mobile"),
        ("+447700900123", "invalid"),
        ("+4499123456789012345", "invalid"),
    ],
)
def test_kinds_of_numbers(number, kind):
    assert prefixes.number_type(number) == kind


def test_neighbours_share_their_beginnings_and_a_beginning_is_shown_with_dots(tmp_path):
    ring = _ring(tmp_path)
    one, near, far, other = (prefixes.split(prefixes.hashes(ring, number)) for number in NUMBERS)
    assert one == near
    assert one[0] != far[0]
    assert one[1] == far[1]
    assert not set(one) & set(other)
    assert one[0] == prefixes.hash_of(ring, "+447911123")
    assert prefixes.shown(NUMBERS[0]) == ["+44 7911 123•••", "+44 7911 12••••"]
    assert prefixes.split(None) == []


NUMBERS = ("+447911123456", "+447911123999", "+447911124000", "+447911133456")


def _ring(tmp_path: Path) -> Ring:
    path = tmp_path / "search.json"
    path.write_text('{"purpose": "search", "keys": [{"id": 1, "secret": "c2VjcmV0", "state": "active"}]}')
    path.chmod(0o600)
    return Keyrings(tmp_path).secret("search")


@pytest.mark.parametrize(("country", "most"), [("GB", "0.08"), ("LT", "0.30"), (None, "0.10")])
def test_a_budget_counts_what_the_dearest_provider_takes_for_that_country(country, most):
    prices = {
        "twilio": {"GB": Decimal("0.04"), "LT": Decimal("0.30"), "*": Decimal("0.10")},
        "vonage": {"GB": Decimal("0.08"), "*": Decimal("0.05")},
    }
    assert guard.dearest(prices, country) == Decimal(most)
    assert guard.dearest({}, country) == 1
