"""Debian's Chromium: found, or installed where this is root; and what every page of ours is held to."""

import os
import shutil
import subprocess
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final, Literal

import pytest
from playwright.async_api import Browser, BrowserContext, Page, async_playwright, expect

AXE: Final = (Path(__file__).parent / "vendor" / "axe.min.js").read_text()
FLAGS: Final = ("--disable-gpu", "--disable-dev-shm-usage", *(("--no-sandbox",) if os.geteuid() == 0 else ()))
# What a page said, in order: pages change too quickly for a look from outside.
WATCH: Final = """
document.addEventListener("DOMContentLoaded", () => {
  window.said = [];
  const look = () => {
    const news = document.getElementById("news");
    const text = news ? news.innerText.trim() : "";
    if (text && window.said.at(-1) !== text) window.said.push(text);
  };
  look();
  new MutationObserver(look).observe(document.body, {childList: true, subtree: true, characterData: true});
});
"""

HEADLESS: Final = "chromium-headless-shell"
Visitor = Callable[..., Awaitable[Page]]
Scheme = Literal["light", "dark"]


def installed() -> str:
    """Chromium's path: Debian's without a window, which takes a third less of the processor, or whichever is there.
    Without one, and without the right to install it, browser tests are skipped; never under CI.
    """
    found = shutil.which(HEADLESS)
    if found is None and os.geteuid() == 0:
        subprocess.run(["apt-get", "update", "-qq"], check=True)
        command = ["apt-get", "install", "-y", "-qq", "--no-install-recommends", HEADLESS, "fonts-dejavu-core"]
        subprocess.run(command, check=True, env=os.environ | {"DEBIAN_FRONTEND": "noninteractive"})
    found = shutil.which(HEADLESS) or shutil.which("chromium")
    if found is None and os.environ.get("CI") != "true":
        pytest.skip(f"no Chromium: apt-get install {HEADLESS}")
    assert found is not None, f"apt-get install {HEADLESS}"
    return found


@asynccontextmanager
async def launched() -> AsyncIterator[Browser]:
    path = installed()
    expect.set_options(timeout=20_000)  # a machine that is busy with other tests
    async with async_playwright() as playwright:
        browser = await playwright.chromium.launch(executable_path=path, args=list(FLAGS))
        yield browser
        await browser.close()


@asynccontextmanager
async def visitors(browser: Browser) -> AsyncIterator[Visitor]:
    """Browsers of their own, each with one page; `with_` adds a page to one. No page may have broken its own policy."""
    faults: list[str] = []

    def watched(page: Page) -> Page:
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("console", lambda said: faults.append(said.text) if "Content Security Policy" in said.text else None)
        return page

    async with AsyncExitStack() as open_ones:

        async def come(with_: Page | None = None, **options: Any) -> Page:
            if with_ is not None:
                return watched(await with_.context.new_page())
            context: BrowserContext = await browser.new_context(**options)
            open_ones.push_async_callback(context.close)
            await context.add_init_script(WATCH)
            return watched(await context.new_page())

        yield come
    assert faults == []


async def accessible(page: Page, schemes: Sequence[Scheme] = ("light", "dark")) -> None:
    """axe finds nothing wrong, light and dark: the second scheme changes colours only."""
    await page.evaluate(AXE)
    for scheme in schemes:
        await page.emulate_media(color_scheme=scheme)
        rules = "{}" if scheme == schemes[0] else "{runOnly: ['color-contrast']}"
        found = await page.evaluate(f"axe.run({rules}).then(r => r.violations)")
        wrong = [(each["id"], [node["html"] for node in each["nodes"]]) for each in found]
        assert wrong == [], (page.url, scheme, wrong)


async def fits(page: Page) -> None:
    """Nothing is wider than the window."""
    width, seen = await page.evaluate("[document.documentElement.scrollWidth, document.documentElement.clientWidth]")
    assert width <= seen, page.url
