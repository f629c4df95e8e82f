"""The feed's calls over HTTP: every status, every reason of refusal."""

import secrets
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from services.login_gateway.administration import ADMINISTRATION
from services.login_gateway.clients import NewClient
from services.login_gateway.postgres import clients, users
from services.login_gateway.who import COMMAND_LINE
from services.platform.auth import EVERY
from services.platform.cli import basic
from services.platform.clock import new_id
from tests.integration.gateway_login.world import Answer, Desk, Member, wrong

FEED = "/v1/feed/logins"


class Platform:
    """A client that feeds the logins of one account."""

    def __init__(self, desk: Desk, authorization: str) -> None:
        self._desk = desk
        self._authorization = authorization

    async def __call__(self, method: str, path: str = "", body: Any = None, raw: Any = None) -> Answer:
        return await self._desk(method, FEED + path, body, raw, Authorization=self._authorization)

    async def feed(self, *logins: Any) -> list[Any]:
        answer = await self("POST", body={"logins": list(logins)})
        assert answer.status == 200, answer.data
        return list(answer.data["logins"])

    async def opened(self, who: Member) -> dict[str, Any]:
        """A fed login that waits for its code."""
        (login,) = await self.feed(item(who))
        assert login["status"] == "code_required", login
        return dict(login)


async def platform(desk: Desk, account: object, *scopes: Any) -> Platform:
    new = NewClient({*scopes} or {"feed"})
    made = await clients.create(desk.app[ADMINISTRATION], COMMAND_LINE, new, str(account))
    return Platform(desk, basic(f"{made.client_id}:{made.client_secret}"))


def item(who: Member, **more: Any) -> dict[str, Any]:
    base = {"reference": f"ref-{secrets.token_hex(6)}x", "user": {"user_id": str(who.user_id)}}
    return base | {"authenticated_at": datetime.now(UTC).isoformat()} | more


async def test_a_fed_login_is_verified_by_its_reference_and_only_once(desk: Desk) -> None:
    feed = await platform(desk, (who := await desk.member()).account_id)
    login = await feed.opened(who)
    code = await desk.heard.code(login)
    place = f"/{login['reference']}"
    refused = await feed("POST", f"{place}/verify", {"code": wrong(code)})
    assert (refused.status, refused.problem, refused.data["attempts_left"]) == (401, "wrong-code", 4)
    done = await feed("POST", f"{place}/verify", {"code": code})
    assert (done.status, done.data["acr"]) == (200, "urn:gatepost:acr:fed+sms")
    again = await feed("POST", f"{place}/verify", {"code": code})
    assert (again.status, again.problem, again.data["reason"]) == (410, "login-closed", "used")
    late = await feed("POST", f"{place}/resend")
    assert (late.status, late.problem) == (410, "login-closed")
    assert (await feed("GET", place)).data["status"] == "signed_in"


@pytest.mark.parametrize("code", ["", "12345", "abcdef", "12345678901", "１２３４５６"])
async def test_what_is_no_code_is_a_400_and_no_try(desk: Desk, code: str) -> None:
    feed = await platform(desk, (who := await desk.member()).account_id)
    login = await feed.opened(who)
    answer = await feed("POST", f"/{login['reference']}/verify", {"code": code})
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert (await feed("GET", f"/{login['reference']}")).data["attempts_left"] == 5


async def test_a_resend_waits_and_keeps_to_the_users_channels(desk: Desk) -> None:
    feed = await platform(desk, (who := await desk.member()).account_id)
    place = f"/{(await feed.opened(who))['reference']}/resend"
    soon = await feed("POST", place)
    assert (soon.status, soon.problem) == (429, "resend-too-soon")
    assert int(soon.headers["Retry-After"]) > 0
    off = await feed("POST", place, {"channel": "email"})
    assert (off.status, off.problem) == (409, "channel-not-allowed")
    assert (await feed("POST", place, {"channel": "fax"})).status == 400


@pytest.mark.parametrize("reference", ["nobody-knows-it", "%00", "x" * 300])
async def test_an_unknown_reference_is_a_404(desk: Desk, reference: str) -> None:
    feed = await platform(desk, (await desk.member()).account_id)
    for method, end, body in (("GET", "", None), ("POST", "/verify", {"code": "123456"}), ("POST", "/resend", None)):
        answer = await feed(method, f"/{reference}{end}", body)
        assert (answer.status, answer.problem) == (404, "not-found")


async def test_a_login_whose_user_was_deleted_is_a_404(desk: Desk) -> None:
    feed = await platform(desk, (who := await desk.member()).account_id)
    login = await feed.opened(who)
    await users.delete(desk.app[ADMINISTRATION], COMMAND_LINE, who.account_id, str(who.user_id))
    for method, end, body in (("GET", "", None), ("POST", "/verify", {"code": "123456"}), ("POST", "/resend", None)):
        answer = await feed(method, f"/{login['reference']}{end}", body)
        assert (answer.status, answer.problem) == (404, "not-found")
    assert (await desk("GET", f"/v1/logins/{login['login']}")).status == 404


async def test_another_accounts_login_is_a_404(desk: Desk) -> None:
    who, stranger = await desk.member(), await desk.member()
    login = await (await platform(desk, who.account_id)).opened(who)
    feed = await platform(desk, stranger.account_id)
    for method, end, body in (("GET", "", None), ("POST", "/verify", {"code": "123456"}), ("POST", "/resend", None)):
        assert (await feed(method, f"/{login['reference']}{end}", body)).status == 404
    (refused,) = await feed.feed(item(who))
    assert (refused["status"], refused["reason"]) == ("refused", "unknown-user")


async def test_only_a_feed_client_of_one_account_feeds(desk: Desk) -> None:
    who = await desk.member()
    body = {"logins": [item(who)]}
    every = await (await platform(desk, EVERY))("POST", body=body)
    assert (every.status, every.problem) == (403, "forbidden")
    other = await (await platform(desk, who.account_id, "introspect"))("POST", body=body)
    assert (other.status, other.problem) == (403, "forbidden")
    nobody = await desk("POST", FEED, body)
    assert (nobody.status, nobody.problem) == (401, "unauthenticated")


@pytest.mark.parametrize(
    "shape",
    [
        lambda good: {"logins": []},
        lambda good: {"logins": [good] * 501},
        lambda good: {"logins": [good | {"surprise": 1}]},
        lambda good: {"logins": [good | {"reference": 7}]},
        lambda good: {"logins": [good | {"authenticated_at": "yesterday"}]},
        lambda good: {"logins": [{"reference": "r-1"}]},
        lambda good: {"logins": good},
    ],
    ids=["none", "501", "unknown-field", "wrong-type", "no-time", "missing", "no-list"],
)
async def test_a_batch_of_another_shape_is_a_400_and_opens_nothing(desk: Desk, shape: Callable[[Any], Any]) -> None:
    feed = await platform(desk, (who := await desk.member()).account_id)
    answer = await feed("POST", body=shape(item(who)))
    assert (answer.status, answer.problem) == (400, "bad-request")
    assert await desk.pool.fetchval("SELECT count(*) FROM logins WHERE user_id = $1", who.user_id) == 0


AN_HOUR = timedelta(hours=1)
REFUSED: dict[str, tuple[Callable[[Any], Any], str]] = {
    "too old": (lambda m: item(m, authenticated_at=(datetime.now(UTC) - AN_HOUR).isoformat()), "too-old"),
    "ahead": (
        lambda m: item(m, authenticated_at=(datetime.now(UTC) + AN_HOUR).isoformat()),
        "authenticated-in-the-future",
    ),
    "no zone": (lambda m: item(m, authenticated_at="2026-11-24T09:30:00"), "time-without-zone"),
    "nobody": (lambda m: item(m, user={}), "one-of-user-id-and-external-id"),
    "both": (
        lambda m: item(m, user={"user_id": str(m.user_id), "external_id": "e"}),
        "one-of-user-id-and-external-id",
    ),
    "unknown id": (lambda m: item(m, user={"user_id": str(new_id())}), "unknown-user"),
    "no id": (lambda m: item(m, user={"user_id": "7"}), "unknown-user"),
    "endless external id": (lambda m: item(m, user={"external_id": "e" * 5000}), "unknown-user"),
    "unknown external id": (lambda m: item(m, user={"external_id": "nobody"}), "unknown-user"),
    "NUL": (lambda m: item(m, user={"external_id": "a\x00"}), "unknown-user"),
    "phone": (lambda m: item(m, reference="+44 20 7946 0958"), "bad-reference"),
    "mail": (lambda m: item(m, reference="ada@example.com"), "bad-reference"),
    "empty": (lambda m: item(m, reference=""), "bad-reference"),
    "long": (lambda m: item(m, reference="r" * 129), "bad-reference"),
    "control": (lambda m: item(m, reference="r\n1"), "bad-reference"),
}


@pytest.mark.parametrize(("make", "reason"), REFUSED.values(), ids=REFUSED)
async def test_an_item_that_cannot_be_fed_is_refused_with_its_reason_and_its_neighbour_is_not(
    desk: Desk, make: Callable[[Any], Any], reason: str
) -> None:
    feed = await platform(desk, (who := await desk.member(sms=False)).account_id)
    bad, good = await feed.feed(make(who), item(who))
    assert (bad["status"], bad["reason"]) == ("refused", reason)
    assert "token" not in bad
    assert good["status"] == "signed_in"


async def test_a_disabled_user_and_one_whose_role_needs_a_second_factor_are_refused(desk: Desk) -> None:
    off = await desk.member(sms=False, disabled=True)
    (answer,) = await (await platform(desk, off.account_id)).feed(item(off))
    assert answer["reason"] == "unknown-user"
    admin = await desk.member(role="admin")
    await desk.pool.execute("UPDATE users SET sms_on = false WHERE user_id = $1", admin.user_id)
    (answer,) = await (await platform(desk, admin.account_id)).feed(item(admin))
    assert answer["reason"] == "second-factor-required"


async def test_a_suspended_account_feeds_nothing(desk: Desk) -> None:
    feed = await platform(desk, (who := await desk.member(sms=False)).account_id)
    await desk.pool.execute("UPDATE accounts SET state = 'suspended' WHERE account_id = $1", who.account_id)
    (answer,) = await feed.feed(item(who))
    assert (answer["status"], answer["reason"]) == ("refused", "account-suspended")


@pytest.mark.parametrize("field", ["locale", "origin", "device_id"])
@pytest.mark.parametrize("value", ["x" * 600, "a\x00b"], ids=["long", "NUL"])
async def test_a_context_that_no_event_could_carry_opens_no_login(desk: Desk, field: str, value: str) -> None:
    """Otherwise the login would wait for a code that delivery refuses to send."""
    feed = await platform(desk, (who := await desk.member()).account_id)
    answer = await feed("POST", body={"logins": [item(who, context={field: value})]})
    assert answer.status in (200, 400)
    assert answer.status == 400 or answer.data["logins"][0]["status"] == "refused"


async def test_a_reference_of_another_user_gives_no_token(desk: Desk) -> None:
    first = await desk.member(sms=False)
    feed = await platform(desk, first.account_id)
    second = await desk.pool.fetchval(
        "INSERT INTO users (user_id, account_id, username, username_key)"
        " VALUES (gen_random_uuid(), $1, 'second', 'second') RETURNING user_id",
        first.account_id,
    )
    given = item(first)
    (opened,) = await feed.feed(given)
    (again,) = await feed.feed(given)
    assert opened["token"] == again["token"]
    (other,) = await feed.feed(given | {"user": {"user_id": str(second)}})
    assert (other["status"], other["reason"]) == ("refused", "reference-reused")
    assert "token" not in other


async def test_the_state_of_a_fed_login_without_a_second_factor_is_shown(desk: Desk) -> None:
    who = await desk.member(sms=False)
    feed = await platform(desk, who.account_id)
    given = item(who)
    await feed.feed(given)
    answer = await feed("GET", f"/{given['reference']}")
    assert (answer.status, answer.data["status"]) == (200, "signed_in")


async def test_a_login_that_cannot_be_done_is_refused_alone(desk: Desk) -> None:
    """Its user's phone number is sealed with a key that was revoked, say: no key opens it."""
    who, other = await desk.member(), await desk.member()
    await desk.pool.execute("UPDATE users SET phone = $2 WHERE user_id = $1", who.user_id, b"\x01\xff" + bytes(60))
    feed, plain = await platform(desk, who.account_id), await desk.member(sms=False)
    both = "UPDATE users SET account_id = $2 WHERE user_id = ANY($1)"
    await desk.pool.execute(both, [other.user_id, plain.user_id], who.account_id)
    given = [item(other), item(who), item(plain)]
    first, failed, last = await feed.feed(*given)
    assert (failed["status"], failed["reason"]) == ("refused", "failed")
    assert (first["status"], last["status"]) == ("code_required", "signed_in")
    assert [each["login_id"] for each in await feed.feed(given[0], given[2])] == [first["login_id"], last["login_id"]]
