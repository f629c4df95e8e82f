"""What an SMS costs, against the standard's own tables read cell by cell and a search over all ways to cut."""

from functools import cache

from hypothesis import given
from hypothesis import strategies as st

from services.delivery.messages import gsm7

# 3GPP TS 23.038, 6.2.1, as it is printed: a row for each low nibble, a column for each high one; ESC is left out.
TABLE = """
@ Δ SP 0 ¡ P ¿ p
£ _ !  1 A Q a q
$ Φ "  2 B R b r
¥ Γ #  3 C S c s
è Λ ¤  4 D T d t
é Ω %  5 E U e u
ù Π &  6 F V f v
ì Ψ '  7 G W g w
ò Σ (  8 H X h x
Ç Θ )  9 I Y i y
LF Ξ * : J Z j z
Ø ESC + ; K Ä k ä
ø Æ ,  < L Ö l ö
CR æ - = M Ñ m ñ
Å ß .  > N Ü n ü
å É /  ? O § o à
"""
NAMED = {"SP": " ", "LF": "\n", "CR": "\r"}
BASIC = {NAMED.get(cell, cell) for cell in TABLE.split() if cell != "ESC"}
# 6.2.1.1
TWO = set("^{}\\[~]|€\f")
texts = st.text(st.sampled_from(sorted(BASIC | TWO)), max_size=400)


def test_the_alphabet_is_that_of_the_standard():
    assert len(BASIC) == 127
    assert gsm7.DEFAULT == BASIC
    assert gsm7.EXTENSION == TWO


def brute_septets(text: str) -> int:
    """As it is sent: the characters one after the other, an escape before each of the extension."""
    return len([septet for letter in text for septet in (["ESC", letter] if letter in TWO else [letter])])


def brute_segments(text: str) -> int:
    """The fewest parts of 153 septets that no cut splits a character in, of all ways to cut."""
    if brute_septets(text) <= 160:
        return 1
    costs = [2 if letter in TWO else 1 for letter in text]

    @cache
    def fewest(start: int) -> int:
        best, used, end = len(costs) - start, 0, start
        if start == len(costs):
            return 0
        while end < len(costs) and used + costs[end] <= 153:
            used, end = used + costs[end], end + 1
            if end == len(costs) or used >= 151:  # shorter parts are never better, but the last ones may be
                best = min(best, 1 + fewest(end))
        return best

    return fewest(0)


@given(texts)
def test_septets_and_segments_are_those_of_the_definition(text):
    assert gsm7.septets(text) == brute_septets(text)
    assert gsm7.segments(text) == brute_segments(text)


@given(st.lists(st.sampled_from(["a" * 152, "€", "a" * 7, "a" * 153, "b"]), max_size=5).map("".join))
def test_a_character_of_two_septets_is_never_cut(text):
    assert gsm7.segments(text) == brute_segments(text)


def test_the_borders():
    assert [gsm7.segments("a" * n) for n in (0, 1, 160, 161, 306, 307)] == [1, 1, 1, 2, 2, 3]
    assert gsm7.segments("a" * 159 + "€") == 2
    assert gsm7.segments("a" * 152 + "€" + "a" * 152) == 3


@given(st.text(max_size=50))
def test_foreign_characters_are_those_that_no_table_has(text):
    assert set(gsm7.foreign(text)) == {letter for letter in text if letter not in BASIC | TWO}
