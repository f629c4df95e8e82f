"""Which pages there are pictures of, and how each is reached."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Final, NamedTuple

from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor
from tests.browser.site import Site

SHOWN: Final = {("sign-in-fallback", "light"), ("inbox", "light"), ("account-user", "light"), ("operations", "dark")}
"""What README and guide show."""
PHONES: Final = {"ada": "+442079460101", "grace": "+442079460102", "barbara": "+442079460103", "admin": "+442079460104"}


class Show(NamedTuple):
    site: Site
    visitor: Visitor

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


class Shot(NamedTuple):
    name: str
    reach: Callable[[Show, Page], Awaitable[None]]


async def _sign_in(show: Show, page: Page) -> None:
    await page.goto(show.site.address())


async def _code(show: Show, page: Page) -> None:
    await show.sign_in(page, "ada")
    await expect(page.locator("#news")).to_contain_text("arrived by SMS")


async def _fallback(show: Show, page: Page) -> None:
    await show.site.story.fault({"sms": {PHONES["grace"]: {"mode": "refuse", "code": 21614}}})
    await show.sign_in(page, "grace")
    await expect(page.locator("#news")).to_contain_text("could not be delivered")


async def _wrong(show: Show, page: Page) -> None:
    await show.sign_in(page, "barbara")
    await expect(page.locator("#news")).to_contain_text("arrived by SMS")
    await page.get_by_label("Code with").press_sequentially("000000")
    await expect(page.get_by_role("alert")).to_be_visible()


async def _locked(show: Show, page: Page) -> None:
    await show.sign_in(page, "edsger")
    await expect(page.locator("#news")).to_contain_text("We e-mailed")
    for left in (4, 3, 2, 1, 0):
        await page.get_by_label("Code with").fill("000000")
        if left:
            await expect(page.get_by_role("alert")).to_contain_text(f"Tries left: {left}")
    await expect(page.get_by_role("heading", name="Too many wrong codes")).to_be_visible()


async def _done(show: Show, page: Page) -> None:
    await show.sign_in(page, "linus")
    await expect(page.get_by_role("heading", name="You are signed in")).to_be_visible()


async def _signed_out(show: Show, page: Page) -> None:
    await page.goto(f"{show.site.base}/login/out")


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
        Shot("sign-in", _sign_in),
        Shot("sign-in-code", _code),
        Shot("sign-in-fallback", _fallback),
        Shot("sign-in-wrong-code", _wrong),
        Shot("sign-in-locked", _locked),
        Shot("sign-in-done", _done),
        Shot("signed-out", _signed_out),
        Shot("inbox", _inbox),
        Shot("docs", _docs),
        Shot("docs-topics", _topics),
    ]
