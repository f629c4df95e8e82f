"""What a proxy may ask for, whose token counts, where the browser wanted to go."""

from uuid import UUID, uuid4

import pytest

from services.session_store.forward_auth import ACR, BadWish, CheckQuery, token_of, wanted, way_back

HOME = UUID(int=1)
HOST, SECURE = "__Host-gatepost", "__Secure-gatepost"


def test_several_roles_and_strengths_may_be_asked_for_and_one_is_enough():
    wish = wanted(CheckQuery(HOME, role="admin,operator", acr=f"{ACR}pwd+sms,{ACR}fed+sms"))
    assert wish.roles == frozenset({"admin", "operator"})
    assert wish.acrs == frozenset({f"{ACR}pwd+sms", f"{ACR}fed+sms"})


def test_a_plus_that_the_configuration_did_not_encode_is_still_a_plus():
    assert wanted(CheckQuery(HOME, acr=f"{ACR}pwd sms")).acrs == frozenset({f"{ACR}pwd+sms"})


@pytest.mark.parametrize(
    "asked",
    [{"role": "root"}, {"role": "admin,"}, {"role": "Admin"}, {"acr": "pwd+sms"}, {"acr": f"{ACR}sms"}],
)
def test_what_no_session_can_have_is_refused_as_a_slip_of_the_pen(asked: dict[str, str]):
    with pytest.raises(BadWish, match="one or more"):
        wanted(CheckQuery(uuid4(), **asked))


@pytest.mark.parametrize(
    ("authorization", "cookies", "name", "found"),
    [
        ("Bearer gp_a", [], HOST, "gp_a"),
        ("bearer gp_a", [f"{HOST}=gp_b"], HOST, "gp_a"),
        ("", [f"a=1; {HOST}=gp_b; c=2"], HOST, "gp_b"),
        ("", [f"a=1;{HOST}=gp_b"], HOST, "gp_b"),
        ("", ["a=1", f"{HOST}=gp_b"], HOST, "gp_b"),
        ("Bearer eyJ.of.theirs", [f"{HOST}=gp_b"], HOST, "gp_b"),
        ("Basic gp_a", [f"{HOST}=gp_b"], HOST, "gp_b"),
        ("", [f"{HOST}=gp_b; {HOST}=gp_b"], HOST, "gp_b"),
        ("", [f"{SECURE}=gp_b"], SECURE, "gp_b"),
        ("", [], HOST, ""),
        ("", ["", ";;", "=gp_b"], HOST, ""),
        ("Bearer", [], HOST, ""),
    ],
)
def test_a_token_of_ours_comes_by_bearer_or_by_the_cookie(
    authorization: str, cookies: list[str], name: str, found: str
):
    assert token_of(authorization, cookies, name) == found


@pytest.mark.parametrize(
    ("cookies", "name"),
    [
        ([f"{SECURE}=gp_b"], HOST),
        ([f"{HOST}=gp_b"], SECURE),
        ([f"{SECURE}=gp_mine; {SECURE}=gp_theirs"], SECURE),
        ([f"{SECURE}=gp_mine", f"{SECURE}=gp_theirs"], SECURE),
        (["__host-gatepost=gp_b"], HOST),
        (["__Host-gatepost-console=gp_b; __Host-gatepost-login=x"], HOST),
    ],
)
def test_a_cookie_that_a_host_beside_may_have_set_is_none(cookies: list[str], name: str):
    assert token_of("", cookies, name) == ""


def forwarded(scheme: str = "https", host: str = "app.example.com", uri: str = "/") -> dict[str, str]:
    return {"X-Forwarded-Proto": scheme, "X-Forwarded-Host": host, "X-Forwarded-Uri": uri}


def test_the_way_back_is_whole_and_encoded_for_a_query():
    back = way_back(forwarded(host="app.example.com:8443", uri="/a b/%C3%A9?x=1&y=2#z".replace(" ", "%20")))
    assert back == "https%3A%2F%2Fapp.example.com%3A8443%2Fa%2520b%2F%25C3%25A9%3Fx%3D1%26y%3D2%23z"
    assert way_back(forwarded(host="[::1]:80")) == "https%3A%2F%2F%5B%3A%3A1%5D%3A80%2F"


@pytest.mark.parametrize(
    "given",
    [
        {},
        forwarded(scheme="javascript"),
        forwarded(host=""),
        forwarded(host="a@b"),
        forwarded(host="a/b"),
        forwarded(uri=""),
        forwarded(uri="//\n"),
        forwarded(uri="x"),
        forwarded(uri="/" + "a" * 2001),
    ],
)
def test_no_way_back_is_made_of_what_is_no_address(given: dict[str, str]):
    assert way_back(given) is None
