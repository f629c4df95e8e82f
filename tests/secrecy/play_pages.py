"""Canaries through the sign-in pages, as a browser sends them; and in what an account's pages look like."""

import re
from http.cookies import SimpleCookie
from typing import Any

from aiohttp import FormData

from tests.secrecy.play import Cast, member

SESSION = "__Host-gatepost"


class Visitor:
    """A browser's cookies and forms; every cookie and token it is given is a secret."""

    def __init__(self, cast: Cast) -> None:
        self._cast = cast
        self._base = cast.api.urls["gateway"]
        self._cookies: dict[str, str] = {}

    def go_to(self, base: str) -> None:
        """Another service on the same host name: cookies know no ports."""
        self._base = base

    async def get(self, path: str, **query: str) -> dict[str, str]:
        """The page's hidden fields."""
        text = await self._call("GET", path, params=query)
        fields = dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', text))
        for name in {"form_token", "once"} & fields.keys():
            self._cast.canaries.known("form token", fields[name])
        return fields

    async def post(self, path: str, fields: dict[str, str] | FormData) -> None:
        await self._call("POST", path, data=fields)

    async def _call(self, method: str, path: str, **sent: Any) -> str:
        held = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        headers = {"Cookie": held, "Origin": self._base, "Accept": "text/html"}
        options = {"headers": headers, "allow_redirects": False, **sent}
        async with self._cast.http.request(method, self._base + path, **options) as answer:
            for line in answer.headers.getall("Set-Cookie", []):
                self._keep(SimpleCookie(line))
            return await answer.text()

    def _keep(self, cookies: SimpleCookie) -> None:
        for name, morsel in cookies.items():
            if morsel.value:
                self._cookies[name] = self._cast.canaries.known("browser's cookie", morsel.value)

    def holds(self, name: str) -> bool:
        return name in self._cookies


async def play(cast: Cast) -> None:
    """A wrong password, a wrong code, the right one, signing out; and what was typed into the wrong fields."""
    new, who, browser = cast.canaries.new, await member(cast), Visitor(cast)
    path = f"/v1/accounts/{cast.account}/brand"
    await cast.api.expect(200, "gateway", "PUT", path, {"name": new("brand", "Cý {}"), "colour": "#1f3c88"})
    to = new("return to", "/cy-{}?q=1")
    given = {"account": cast.account, "username": who["username"], "return_to": to}
    for password in (new("password"), new("misplaced"), who["password"]):
        fields = await browser.get("/login", account=cast.account, return_to=to)
        wrong_field = {"username": password} if password != who["password"] else {}
        await browser.post("/login", {**fields, **given, "password": password, **wrong_field})
    await _wrong_code_and_right_one(cast, browser, who)
    assert browser.holds(SESSION)
    fields = await browser.get("/login/out", return_to=new("return to", "/cy-{}"))
    await browser.post("/login/out", fields | {new("misplaced"): new("misplaced")})
    await browser.get("/login", account=new("misplaced"), return_to=new("misplaced", "https://cy{}.example"))


async def _wrong_code_and_right_one(cast: Cast, browser: Visitor, who: dict[str, Any]) -> None:
    code = await cast.code(who["phone"], "sms")
    for each in (cast.canaries.known("wrong code", f"{int(code) ^ 1:010d}"), code):
        fields = await browser.get("/login/code")
        await browser.post("/login/code", {"form_token": fields["form_token"], "code": each})
