"""What a body that does not fit is told, in the words of whoever wrote it."""

from typing import Annotated, Any

import msgspec
import pytest

from services.delivery.dead_letters import Discard
from services.delivery.deliveries import ListQuery
from services.delivery.guard import Own
from services.delivery.routes.operating import PauseBody
from services.login_gateway.clients import NewClient
from services.login_gateway.routes.logins import ResendBody
from services.login_gateway.users import EditUser, NewUser
from services.platform.bad_bodies import told


class Deep(msgspec.Struct):
    rows: dict[str, list[NewClient]] = {}
    number: Annotated[float, msgspec.Meta(ge=1)] | None = None


def said(kind: Any, given: Any, strict: bool = True) -> str:
    with pytest.raises(msgspec.ValidationError) as bad:
        msgspec.convert(given, kind, strict=strict)
    return told(str(bad.value), kind)


@pytest.mark.parametrize(
    ("kind", "given", "words"),
    [
        (NewClient, {"scopes": ["users:read"]}, "introspect, operate - at `$.scopes[0]`"),
        (NewUser, {"username": "x", "role": "king"}, "Invalid value: one of admin, operator, user - at `$.role`"),
        (EditUser, {"kind": "robot"}, "Invalid value: one of integration, person - at `$.kind`"),
        (ResendBody, {"channel": "pigeon"}, "Invalid value: one of email, sms - at `$.channel`"),
        (Own, {"countries": ["uk"]}, "Expected two capital letters (ISO 3166-1), like GB - at `$.countries[0]`"),
        (PauseBody, {"country": "gb!"}, "Expected two capital letters (ISO 3166-1), like GB - at `$.country`"),
        (
            ListQuery,
            {"reason": "a b"},
            "Expected letters, digits, colons, dots, dashes and underscores - at `$.reason`",
        ),
        (Discard, {"reason": "a\nb\nc"}, "Expected one line of text - at `$.reason`"),
        (ListQuery, {"since": "10x"}, "Expected an instant like 2026-03-01T12:00:00Z - at `$.since`"),
        (ListQuery, {"state": "nix"}, "Invalid value: one of cancelled, delivered, expired"),
        (Deep, {"rows": {"a": [{"scopes": ["feed", "x"]}]}}, "one of accounts:write"),
        (NewUser, {"username": 5}, "Expected `string`, got `whole number` - at `$.username`"),
        (NewUser, {"username": "x", "disabled": "no"}, "Expected `true or false`, got `string` - at `$.disabled`"),
        (EditUser, {"phone": 4.5}, "Expected `string | null`, got `number` - at `$.phone`"),
        (NewUser, [], "Expected `object`, got `array`"),
        (NewUser, {}, "Object missing required field `username`"),
        (NewUser, {"username": "x", "colour": 1}, "Object contains unknown field `colour`"),
    ],
)
def test_a_bad_field_is_told_in_jsons_words_with_the_values_that_it_takes(kind, given, words):
    assert words in said(kind, given)


def test_what_was_sent_is_never_repeated():
    assert "geheim" not in said(NewUser, {"username": "x", "role": "geheim"})
