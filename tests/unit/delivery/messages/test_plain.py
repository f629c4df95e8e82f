import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.delivery.messages import plain

ALLOWED = ("code", "account", "minutes")


def refusal(text: str, allowed=ALLOWED) -> str:
    with pytest.raises(plain.BadText) as refused:
        plain.check(text, allowed, 200)
    return str(refused.value)


@pytest.mark.parametrize(
    "text", ["{code} is it", "it is {code}", "It is {code}, {account}.", '"{code}" {minutes}', "{code}!"]
)
def test_listed_placeholders_are_taken(text):
    plain.check(text, ALLOWED, 200)


def test_they_are_filled_in():
    assert plain.fill("{code} of {account}: {code}", {"code": 1, "account": "A {code}"}) == "1 of A {code}: 1"


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("{name} {code}", "something else in braces at character 1"),
        ("x {code.__class__}", "something else in braces at character 3"),
        ("x {code!r}", "something else in braces at character 3"),
        ("x {}", "something else in braces at character 3"),
        ("x { code }", "something else in braces at character 3"),
        ("{code} {", "a brace alone at character 8"),
        ("}{code}", "a brace alone at character 1"),
        ("{{code}}", "a brace alone at character 1"),
        ("{code", "a brace alone at character 1"),
    ],
)
def test_what_is_not_listed_and_what_is_unbalanced_is_refused_with_what_is_allowed(text, why):
    said = refusal(text)
    assert why in said
    assert "{code}, {account}, {minutes}" in said


@pytest.mark.parametrize(
    "text",
    ["https://x.example", "HTTP:x", "see www.x.example", "//x.example/{code}", "", "  ", "a\nb", "a\u202eb", "x" * 201],
)
def test_links_and_what_cannot_be_seen_are_refused(text):
    refusal(text)


@pytest.mark.parametrize(
    "text", ["x.example/{code}", "x?c={code}", "{code}.x.example", "@x #{code}", "1{code}", "{code}2"]
)
def test_nothing_reads_a_code_as_a_part_of_an_address(text):
    assert "{code}" in refusal(text)


@given(st.text(st.sampled_from("{}ab cdeo"), max_size=20))
def test_what_is_taken_can_be_filled_in_and_leaves_no_brace(text):
    try:
        plain.check(text, ALLOWED, 200)
    except plain.BadText:
        return
    filled = plain.fill(text, dict.fromkeys(ALLOWED, "1"))
    assert "{" not in filled
    assert "}" not in filled
