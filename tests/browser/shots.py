"""Which pages there are pictures of, and how each is reached."""

import hashlib
import math
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final, NamedTuple
from uuid import UUID

import asyncpg
from playwright.async_api import Page, expect

from services.delivery.gate import shown_info
from services.platform.keys.contacts import Contacts
from services.platform.keys.keyring import Keyrings
from tests.browser.chromium import Visitor
from tests.browser.site import Site

ARRIVED: Final = "The code has arrived by SMS"
SHOWN: Final = {
    ("sign-in-fallback", "light"),
    ("inbox", "light"),
    ("account-user", "light"),
    ("operations", "dark"),
} | {
    ("operations-login", "light"),
    ("operations-failures", "light"),
}
"""What README and guide show."""
PHONES: Final = {
    "ada": "+442079460101",
    "grace": "+442079460102",
    "barbara": "+442079460103",
    "admin": "+442079460104",
    "operator": "+442079460105",
}

BLOCKS: Final = (
    ("+44 7911 12••••", 63, 4, 38),
    ("+44 7911 123•••", 41, 1, 38),
    ("+44 7400 55••••", 212, 197, 0),
)
BLOCK: Final = """
INSERT INTO guard_prefixes (account_id, prefix, country, since, sends, verified, stopped, shown)
VALUES ($1, $2, 'GB', date_bin('24 hours', now(), timestamptz 'epoch'), $3, $4, $5, $6) ON CONFLICT DO NOTHING
"""
FIGURES: Final = (
    ("GB", "twilio", "", 1840, 1702, 0, 73.6),
    ("IE", "twilio", "", 212, 199, 0, 10.6),
    ("GB", "", "guard-conversion", 0, 0, 76, 0),
    ("LT", "", "guard-country", 0, 0, 9, 0),
)
FIGURE: Final = """
INSERT INTO guard_figures (day, account_id, country, provider, reason, sends, verified, stopped, cost)
VALUES ((now() AT TIME ZONE 'utc')::date, $1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
"""


@dataclass
class Show:
    """`kept`: the cookies of whoever signed in to a console."""

    site: Site
    visitor: Visitor
    kept: dict[str, Any] = field(default_factory=dict)

    async def sign_in(self, page: Page, name: str, **query: str) -> datetime:
        """The first step; gives when it began."""
        begun = datetime.now(UTC)
        await page.goto(self.site.address(**query))
        await page.get_by_label("Username").fill(name)
        await page.get_by_label("Password").fill(self.site.story.people[name].password)
        await page.get_by_role("button", name="Sign in").click()
        return begun

    async def enter(self, page: Page, contact: str, channel: str, begun: datetime) -> None:
        code = await self.site.story.code_for(contact, channel, begun)
        await page.get_by_label("Code with").press_sequentially(code)


Reach = Callable[[Show, Page], Awaitable[None]]


class Shot(NamedTuple):
    name: str
    reach: Reach


async def _start(show: Show, page: Page) -> None:
    await page.goto(f"{show.site.base}/")


async def _sign_in(show: Show, page: Page) -> None:
    await page.goto(show.site.address())


async def _code(show: Show, page: Page) -> None:
    await show.sign_in(page, "ada")
    await expect(page.locator("#news")).to_contain_text(ARRIVED)


async def _fallback(show: Show, page: Page) -> None:
    await show.site.story.fault({"sms": {PHONES["grace"]: {"mode": "refuse", "code": 21614}}})
    await show.sign_in(page, "grace")
    await expect(page.locator("#news")).to_contain_text("We e-mailed")


async def _wrong(show: Show, page: Page) -> None:
    await show.sign_in(page, "barbara")
    await expect(page.locator("#news")).to_contain_text(ARRIVED)
    await page.get_by_label("Code with").press_sequentially("000000")
    await expect(page.get_by_role("alert")).to_be_visible()


async def _locked(show: Show, page: Page) -> None:
    await show.sign_in(page, "edsger")
    await expect(page.locator("#news")).to_contain_text("We e-mailed")
    for left in (4, 3, 2, 1, 0):
        await page.get_by_label("Code with").fill(f"{left:06}")
        if left:
            await expect(page.get_by_role("alert")).to_contain_text(f"Tries left: {left}")
    await expect(page.get_by_role("heading", name="Too many wrong codes")).to_be_visible()


async def _done(show: Show, page: Page) -> None:
    await show.sign_in(page, "linus")
    await expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()


async def _signed_out(show: Show, page: Page) -> None:
    await page.goto(f"{show.site.base}/login/out")


async def _as(show: Show, page: Page, name: str, to: str) -> None:
    """Signed in to a console, on that page of it."""
    begun = await show.sign_in(page, name, return_to=to)
    await show.enter(page, PHONES[name], "sms", begun)
    await page.wait_for_url(lambda url: "/login" not in url)
    await page.wait_for_load_state()


async def _admin_once(show: Show, page: Page, to: str) -> None:
    """One sign-in serves all pictures of a console: a browser's cookies are kept for the next."""
    if cookies := show.kept.get("admin"):
        await page.context.add_cookies(cookies)
        await page.goto(show.site.base + to)
        return
    await _as(show, page, "admin", to)
    show.kept["admin"] = await page.context.cookies()


def _account(path: str) -> Reach:
    async def reach(show: Show, page: Page) -> None:
        await _admin_once(show, page, path)

    return reach


async def _account_user(show: Show, page: Page) -> None:
    await _admin_once(show, page, "/account/users")
    await page.get_by_role("link", name="grace").first.click()
    await expect(page.get_by_role("heading", level=1)).to_contain_text("grace")


def _of_user(link: str) -> Reach:
    async def reach(show: Show, page: Page) -> None:
        await _account_user(show, page)
        await page.get_by_role("link", name=link).click()
        await page.wait_for_load_state()

    return reach


async def _operations(show: Show, page: Page) -> None:
    await _history(show.site)
    await _as(show, page, "operator", _delivery(show))
    show.kept["operator"] = await page.context.cookies()
    await page.goto(f"{_delivery(show)}?span=day")
    await expect(page.locator("canvas").first).to_be_visible()


def _operators(path: str) -> Reach:
    async def reach(show: Show, page: Page) -> None:
        await page.context.add_cookies(show.kept["operator"])
        await page.goto(_delivery(show) + path)

    return reach


async def _guard(show: Show, page: Page) -> None:
    await _numbers(show.site)
    await page.context.add_cookies(show.kept["operator"])
    await page.goto(f"{_delivery(show)}/guard")


async def _numbers(site: Site) -> None:
    """A day of an example: three blocks of numbers, and what the guard made of them."""
    rings, account = Keyrings(site.story.gateway_keys), UUID(site.account_id)
    contacts = Contacts(rings.secret("contacts"))
    connection = await asyncpg.connect(site.stack.dsn("delivery"))
    try:
        for text, sends, verified, stopped in BLOCKS:
            prefix = hashlib.blake2b(text.encode(), digest_size=16).digest()
            sealed = contacts.seal(text.encode(), shown_info(account, prefix))
            await connection.execute(BLOCK, account, prefix, sends, verified, stopped, sealed)
        await connection.executemany(FIGURE, [(account, *figure) for figure in FIGURES])
    finally:
        await connection.close()


async def _login_as_picture(show: Show, page: Page) -> None:
    _, found = await show.site.api.call("delivery", "GET", "/v1/deliveries?channel=email&cause=fallback")
    await page.context.add_cookies(show.kept["operator"])
    await page.goto(f"{_delivery(show)}/logins/{found['deliveries'][0]['login_id']}")


def _delivery(show: Show) -> str:
    return f"{show.site.stack.environment.url('delivery')}/operations"


async def _history(site: Site) -> None:
    """A day of an example: a hundred messages a minute at noon, and twenty minutes in which a provider refused many."""
    connection = await asyncpg.connect(site.stack.dsn("delivery"))
    now, rows = datetime.now(UTC).replace(second=0, microsecond=0), list[tuple[object, ...]]()
    chance = random.Random(1)
    for back in range(1, 24 * 60):
        minute = now - timedelta(minutes=back)
        many = round(60 - 40 * math.cos(2 * math.pi * (minute.hour * 60 + minute.minute) / 1440) + chance.gauss(0, 3))
        refused = round(many * (0.3 if 25 <= back < 45 else 0.015))
        for channel, provider, what, count, bucket in (
            ("sms", "", "made", many, 0),
            ("sms", "twilio", "taken", many - refused, chance.choice((22, 23, 23, 24))),
            ("sms", "twilio", "refused", refused, 24),
            ("sms", "twilio", "lost", refused, 0),
            ("sms", "twilio", "arrived", (many - refused) * 97 // 100, 0),
            ("email", "", "made", refused, 0),
            ("email", "smtp", "taken", refused, chance.choice((17, 18, 18, 19))),
        ):
            if count:
                rows.append((minute, channel, provider, what, bucket, count))
    try:
        insert = "INSERT INTO delivery_minutes VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING"
        await connection.executemany(insert, rows)
    finally:
        await connection.close()


async def _inbox(show: Show, page: Page) -> None:
    await page.goto(show.site.story.inbox)
    await expect(page.get_by_role("status")).to_have_text("live")


async def _docs(show: Show, page: Page) -> None:
    await page.goto(f"{show.site.base}/docs")
    await expect(page.get_by_role("heading", level=1)).to_contain_text("Gatepost")


async def _topics(show: Show, page: Page) -> None:
    await page.goto(f"{show.site.base}/docs/topics")


def shots() -> list[Shot]:
    """In the order in which they are taken: the inbox holds what the sign-ins before it sent."""
    return [
        Shot("start", _start),
        Shot("sign-in", _sign_in),
        Shot("sign-in-code", _code),
        Shot("sign-in-fallback", _fallback),
        Shot("sign-in-wrong-code", _wrong),
        Shot("sign-in-locked", _locked),
        Shot("sign-in-done", _done),
        Shot("signed-out", _signed_out),
        Shot("inbox", _inbox),
        Shot("account-users", _account("/account/users")),
        Shot("account-user", _account_user),
        Shot("account-user-password", _of_user("Set a password")),
        Shot("account-user-delete", _of_user("Delete this user")),
        Shot("account-user-new", _account("/account/users/new")),
        Shot("account-import", _account("/account/users/import")),
        Shot("account-outside", _account("/account/outside")),
        Shot("account-audit", _account("/account/audit")),
        Shot("account-general", _account("/account/general")),
        Shot("operations", _operations),
        Shot("operations-messages", _operators("/messages")),
        Shot("operations-failures", _operators("/failures")),
        Shot("operations-login", _login_as_picture),
        Shot("operations-live", _operators("/live")),
        Shot("operations-replay", _operators("/replays/new")),
        Shot("operations-unreached", _operators("/messages?unreached=true")),
        Shot("operations-replays", _operators("/replays")),
        Shot("operations-providers", _operators("/providers")),
        Shot("operations-guard", _guard),
        Shot("operations-dead-letters", _operators("/dead-letters")),
        Shot("docs", _docs),
        Shot("docs-topics", _topics),
    ]
