"""The Python client writes the contract down once more, for readers without our repository: it says the same."""

import json
import re
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, get_args, get_type_hints

import msgspec
import pytest

import gatepost_client.events as theirs
from deploy.local.paths import ROOT
from gatepost_client import cookies as their_cookies
from gatepost_client import door, fed_records, feeding, topics
from gatepost_client.answers import Context, FedLogin, FedUser, Session
from gatepost_client.errors import BadRequest
from schemas import codec
from schemas import events as ours
from schemas import topics as our_topics
from services.login_gateway import feed_keys
from services.login_gateway.feed import FedLogin as OurFedLogin
from services.login_gateway.feed import FeedUser, check_reference
from services.login_gateway.password_step import LoginContext
from services.platform import cookies
from services.platform.http import Problem
from services.session_store import forward_auth
from services.session_store.routes.described import Introspected
from tests import feeding as platform

READ = {
    our_topics.DELIVERY_OUTCOMES: theirs.DeliveryOutcome,
    our_topics.LOGIN_OUTCOMES: theirs.LoginOutcome,
    our_topics.SESSION_EVENTS: theirs.SessionEvent,
}
PAIRS = [(kind, getattr(theirs, kind.__name__)) for topic in READ for kind in topic.events]
ALL: list[tuple[type[ours.Event], type[theirs.Event]]] = [*PAIRS, (ours.LoginFed, fed_records.LoginFed)]
CLIENT = ("cl_1", "a-secret-of-a-client-that-nobody-else-knows")
ACCOUNT = "0197a0b0-0000-7000-8000-000000000000"
SIGNER = fed_records.Signer(CLIENT, ACCOUNT)
EXAMPLES = [path for kind, _ in PAIRS for path in sorted((ROOT / "schemas/examples" / kind.__name__).glob("*.json"))]


def fields(kind: type[msgspec.Struct]) -> dict[str, bool]:
    """By name, whether it must be there."""
    return {field.name: field.required for field in msgspec.structs.fields(kind)}


def shape(hint: Any) -> Any:
    """A type without its bounds: words of a closed set are text to readers, whose set may be older."""
    schema = msgspec.json.schema(hint)
    kinds = [part for part in schema.get("anyOf", [schema]) if part.get("type") != "null"]
    return sorted({(part.get("type") or "string", part.get("format")) for part in kinds}), len(kinds)


@pytest.mark.parametrize(("our", "their"), ALL, ids=[our.__name__ for our, _ in ALL])
def test_every_event_has_the_same_fields_of_the_same_kinds(our: type[ours.Event], their: type[theirs.Event]):
    assert fields(their) == fields(our)
    said, read = get_type_hints(our, include_extras=True), get_type_hints(their, include_extras=True)
    assert {name: shape(read[name]) for name in fields(our)} == {name: shape(said[name]) for name in fields(our)}


def test_every_event_of_a_topic_is_read_and_no_other():
    for topic, union in READ.items():
        assert {kind.__name__ for kind in get_args(union)} == {kind.__name__ for kind in topic.events}


def test_the_same_events_are_signed():
    named = {kind.__name__ for topic in READ for kind in topic.events if kind in our_topics.SIGNED}
    assert {kind.__name__ for kind in theirs.SIGNED} == named
    assert theirs.SIGNATURE_HEADER == our_topics.SIGNATURE_HEADER


@pytest.mark.parametrize("path", EXAMPLES, ids=[f"{path.parent.name}/{path.name}" for path in EXAMPLES])
def test_every_example_is_read_as_it_is_written(path: Any):
    said = json.loads(path.read_text())
    kind = getattr(theirs, said["type"])
    read = msgspec.to_builtins(msgspec.json.decode(path.read_bytes(), type=kind), builtin_types=(datetime,))
    read |= {"amr": list(read["amr"])} if "amr" in read else {}
    for name, value in said.items():
        wanted = datetime.fromisoformat(value) if isinstance(read[name], datetime) else value
        assert read[name] == wanted, name


def test_readers_are_named_for_the_topics_they_read():
    assert topics.delivery_outcomes()._topic == our_topics.DELIVERY_OUTCOMES.name
    assert topics.login_outcomes()._topic == our_topics.LOGIN_OUTCOMES.name


def test_cookies_roles_and_strengths_are_those_of_the_services():
    assert their_cookies.session_cookie(shared=False) == cookies.session_cookie(None)
    assert their_cookies.session_cookie(shared=True) == cookies.session_cookie("example.com")
    assert (door.ROLES, door.ACRS) == (forward_auth.ROLES, forward_auth.ACRS)


@pytest.mark.parametrize(
    ("authorization", "sent"),
    [
        ("Bearer gp_a", ["__Host-gatepost=gp_b"]),
        ("Basic gp_a", ["__Host-gatepost=gp_b"]),
        ("Bearer theirs", ["__Host-gatepost=gp_b; x=y"]),
        ("", ["__Host-gatepost=gp_a", "__Host-gatepost=gp_b"]),
        ("", ["__Host-gatepost=gp_a; __Host-gatepost=gp_a"]),
        ("", ["__Secure-gatepost=gp_a"]),
        ("", []),
    ],
)
def test_a_token_is_found_where_forward_auth_finds_it(authorization: str, sent: list[str]):
    name = cookies.session_cookie(None)
    assert their_cookies.token_of(authorization, sent, name) == forward_auth.token_of(authorization, sent, name)


def test_what_is_sent_and_introspected_has_the_gateways_names():
    assert set(fields(Context)) == set(fields(LoginContext))
    assert set(fields(FedUser)) == set(fields(FeedUser))
    assert fields(FedLogin) == fields(OurFedLogin)
    assert set(fields(Session)) == set(fields(Introspected)) - {"active", "token_type"}
    assert feeding.MOST == 500


def login(reference: str = "order-7781", **more: Any) -> FedLogin:
    at = datetime(2026, 3, 1, 12, tzinfo=UTC)
    return FedLogin(reference=reference, user=FedUser(external_id="crm-77"), authenticated_at=at, **more)


def test_a_login_that_is_written_to_the_topic_is_the_event_that_the_gateway_reads():
    key, value, headers = SIGNER.record(login(context=Context(locale="de", origin="shop", device_id="d-1")))
    event = codec.decode_for(our_topics.LOGINS.name, value)
    assert isinstance(event, ours.LoginFed)
    assert key == our_topics.key_of(event)
    assert (event.account_id, event.reference, event.user.external_id) == (ACCOUNT, "order-7781", "crm-77")
    assert event.context == ours.FedContext(locale="de", origin="shop", device_id="d-1")
    assert [name for name, _ in headers] == [our_topics.SIGNATURE_HEADER]
    assert our_topics.LOGINS.name == fed_records.TOPIC
    assert set(fields(ours.FedContext)) == set(fields(Context))


def test_it_is_signed_as_the_page_says_and_as_the_gateway_checks():
    """Three that know nothing of each other: the client, a platform of the tests', the gateway."""
    _, value, [(_, header)] = SIGNER.record(login())
    signed = feed_keys.parsed(header)
    assert signed is not None
    assert signed == feed_keys.parsed(platform.signature(*CLIENT, value))
    assert feed_keys.matches(feed_keys.public_key(CLIENT[1]), signed.value, value)


def verdict(check: Callable[[], Any]) -> str:
    try:
        check()
    except (Problem, BadRequest) as bad:
        return bad.name
    return "good"


@pytest.mark.parametrize(
    "reference",
    [
        "r",
        "x" * 128,
        "x" * 129,
        "",
        "a b",
        "a\tb",
        "a@b",
        "+44 20 7946",
        "1234567",
        "123456",
        "12-34-56.7",
        "ü",
        "\u200b",
    ],
)
def test_a_reference_is_refused_where_the_gateway_refuses_it(reference: str):
    ours_says = verdict(lambda: check_reference(reference))
    assert verdict(lambda: SIGNER.record(login(reference))) == ours_says


@pytest.mark.parametrize("text", ["", "x" * 512, "x" * 513, "a\x00b", "ü" * 512, "\n"])
def test_a_context_is_refused_where_the_gateway_refuses_it(text: str):
    travels = LoginContext(device_id=text).can_travel()
    said = verdict(lambda: SIGNER.record(login(context=Context(device_id=text))))
    assert said == ("good" if travels else "bad-context")


def test_what_the_client_refuses_has_the_gateways_words():
    words = {*get_args(ours.RefuseReason), *get_args(codec.Reason), "bad-reference"}
    said = re.findall(r'BadRequest\("([a-z-]+)"', Path(fed_records.__file__).read_text())
    assert set(said) <= words
    assert len(set(said)) > 3
