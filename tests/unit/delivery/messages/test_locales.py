import pytest

from services.delivery.messages.library import Library
from services.delivery.messages.locales import ranges
from services.delivery.messages.sources import read


@pytest.mark.parametrize(
    ("tag", "tried"),
    [
        ("de-AT", ["de-at", "de"]),
        ("de_AT", ["de-at", "de"]),
        # the example of RFC 4647, 3.4
        (
            "zh-Hant-CN-x-private1-private2",
            ["zh-hant-cn-x-private1-private2", "zh-hant-cn-x-private1", "zh-hant-cn", "zh-hant", "zh"],
        ),
        ("en", ["en"]),
        (None, []),
        ("", []),
        ("*", []),
        ("../../etc", []),
        ("d" * 500, []),
        ("de-", []),
    ],
)
def test_ever_less_of_a_tag_is_tried(tag, tried):
    assert list(ranges(tag)) == tried


@pytest.mark.parametrize(
    ("wanted", "found"),
    [("de-AT", "de"), ("PT-br", "pt"), ("en-GB", "en"), ("ja", "fr"), (None, "fr"), ("nonsense\n", "fr")],
)
def test_a_user_is_written_to_in_their_language_or_in_the_default(wanted, found):
    assert Library(read(None), "fr").locale(wanted) == found
