"""Canaries through the account console: users that are looked for, added, edited, imported; and the wrong fields."""

from typing import Any, Final

from aiohttp import FormData

from tests.secrecy.play import Cast, member, person
from tests.secrecy.play_pages import Visitor

CONSOLE: Final = "__Host-gatepost-console"
FILTERS: Final = {
    "/account/users": ("find", "after"),
    "/account/users/import": ("told",),
    "/account/outside": ("kind", "after"),
    "/account/audit": ("who", "action", "about", "before"),
    "/account/general": ("amount", "unit", "done"),
    "/account/cleared": ("told",),
}


async def play(cast: Cast) -> None:
    new, who, browser = cast.canaries.new, await member(cast, role="admin"), Visitor(cast)
    token = await _signed_in(cast, browser, who)
    for path, names in FILTERS.items():
        for name in names:
            await browser.get(path, **{name: new("misplaced")})
    for searched in (new("search"), who["phone"], who["email"], who["username"]):
        await browser.post("/account/users/find", {"form_token": token, "search": searched})
    await _edited(cast, browser, token)
    await _imported(cast, browser, token)
    wrong = {"confirm": new("misplaced"), "amount": new("misplaced"), "unit": new("misplaced")}
    for path in ("/account/general", "/account/general/clear", "/account/users/none/unlock"):
        await browser.post(path, {"form_token": token, **wrong})
        await browser.post(path, {"form_token": new("misplaced")})


async def _signed_in(cast: Cast, browser: Visitor, who: dict[str, Any]) -> str:
    to = "/account/users"
    fields = await browser.get("/login", account=cast.account, return_to=to)
    given = {"account": cast.account, "username": who["username"], "password": who["password"], "return_to": to}
    await browser.post("/login", fields | given)
    fields = await browser.get("/login/code")
    code = await cast.code(who["phone"], "sms")
    await browser.post("/login/code", {"form_token": fields["form_token"], "code": code})
    assert browser.holds(CONSOLE)
    return (await browser.get(to))["form_token"]


async def _edited(cast: Cast, browser: Visitor, token: str) -> None:
    """Added, and edited: as it should be, with a contact that is none, and with what belongs into no field."""
    new, fresh = cast.canaries.new, person(cast.canaries)
    form = {name: str(fresh[name]) for name in ("username", "name", "password", "phone", "email")}
    form |= {"form_token": token, "sms": "on", "role": "user", "kind": "person"}
    for more in ({"phone": new("misplaced")}, {"role": new("misplaced")}, {}):
        await browser.post("/account/users/new", form | more)
    found = await cast.api.expect(200, "gateway", "GET", cast.users(), params={"search": fresh["phone"]})
    path = f"/account/users/{found['users'][0]['user_id']}"
    edited = {**form, "version": "1", "phone": cast.canaries.phone(), "email": cast.canaries.email()}
    for more in ({"email": new("misplaced")}, {"version": "7"}, {}):
        await browser.post("/account/users/experience", edited | more)
        await browser.post(path, edited | more)
    await _new_password_and_gone(cast, browser, path, str(form["username"]))


async def _new_password_and_gone(cast: Cast, browser: Visitor, path: str, username: str) -> None:
    new = cast.canaries.new
    for more in ({"password_again": new("misplaced")}, {}):
        fields, chosen = await browser.get(f"{path}/password"), new("password")
        await browser.post(f"{path}/password", fields | {"password": chosen, "password_again": chosen} | more)
    await browser.post(f"{path}/password", await browser.get(f"{path}/password") | {"then": "made"})
    for typed in (new("misplaced"), username):
        await browser.post(f"{path}/delete", await browser.get(f"{path}/delete") | {"confirm": typed})


async def _imported(cast: Cast, browser: Visitor, token: str) -> None:
    new, fresh = cast.canaries.new, person(cast.canaries)
    columns = ("username", "name", "password", "phone", "email")
    rows = [",".join(columns), ",".join(str(fresh[name]) for name in columns)]
    rows += [f"cy-bad,{new('misplaced')}", f"cy-worse,,,{new('misplaced')},"]
    for text in ("\n".join(rows), new("misplaced")):
        form = FormData({"form_token": token}, default_to_multipart=True)
        form.add_field("file", text.encode(), filename="users.csv", content_type="text/csv")
        await browser.post("/account/users/import", form)
