"""Canaries through the operators' console: what is typed into the wrong filter or form stands nowhere afterwards."""

from typing import Final

from tests.secrecy.play import Cast, member
from tests.secrecy.play_pages import Visitor

CONSOLE: Final = "__Host-gatepost-console"
FILTERS: Final = {
    "/operations": ("span",),
    "/operations/messages": (
        "login_id",
        "reason",
        "provider",
        "account",
        "user",
        "since",
        "cursor",
        "replay",
        "unreached",
    ),
    "/operations/failures": ("hours", "account"),
    "/operations/live": ("account", "login_id", "provider"),
    "/operations/live/steps": ("account",),  # what is no filter is refused, else the stream would not end
    "/operations/replays": ("cursor",),
    "/operations/replays/new": ("reason", "since", "replay_id", "per_second"),
    "/operations/providers": ("span",),
    "/operations/guard": ("account", "days", "said"),
    "/operations/dead-letters": ("state", "topic", "reason"),
}
FORMS: Final = {
    "/operations/replays/new": ("since", "per_second"),
    "/operations/replays/none/stop": ("account",),
    "/operations/providers/none": ("weight", "slots", "enabled"),
    "/operations/pause": ("country", "provider", "account"),
    "/operations/guard/allow": ("account", "prefix", "hours"),
    "/operations/dead-letters/none/discard": ("reason",),
}


async def play(cast: Cast) -> None:
    new, who, browser = cast.canaries.new, await member(cast, role="operator"), Visitor(cast)
    console = cast.api.urls["delivery"]
    to = f"{console}/operations"
    fields = await browser.get("/login", account=cast.account, return_to=to)
    given = {"account": cast.account, "username": who["username"], "password": who["password"], "return_to": to}
    await browser.post("/login", fields | given)
    fields = await browser.get("/login/code")
    code = await cast.code(who["phone"], "sms")
    await browser.post("/login/code", {"form_token": fields["form_token"], "code": code})
    assert browser.holds(CONSOLE)
    browser.go_to(console)
    for path, names in FILTERS.items():
        await browser.get(path, **{name: new("misplaced") for name in names})
        for name in names:
            await browser.get(path, **{name: new("misplaced")})
    token = (await browser.get("/operations/providers"))["form_token"]
    replay = {"replay_id": new("replay id", "cy-{}"), "reason": new("replay filter", "cy-{}")}
    await browser.post("/operations/replays/new", {"form_token": token, **replay})
    for path, names in FORMS.items():
        for name in names:
            await browser.post(path, {"form_token": token, name: new("misplaced")})
        await browser.post(path, {"form_token": new("misplaced")})
