"""Repairing an outage at the operators' console: whom no code reached, what the guard stops, letting them through."""

import re
import secrets
from dataclasses import replace
from typing import Any

from playwright.async_api import Page, expect

from tests.browser.consoles import own_account
from tests.browser.site import Person, Site
from tests.browser.test_operations import address, arrived, became, console, login, mended, refused, signed_in
from tests.integration.delivery.world import until

__all__ = ["console", "signed_in"]

COMPANY = 12
STRICT = {"mode": "enforce", "minimum": 10, "conversion": 0.5}


async def guarded(site: Site) -> Site:
    """An account of its own, whose SMS to numbers that begin alike are stopped from the eleventh on."""
    there = await own_account(site)
    await there.api.expect(200, "delivery", "PUT", f"/v1/guard/{there.account_id}", STRICT)

    async def holds() -> bool | None:
        found = await there.api.expect(200, "delivery", "GET", f"/v1/guard?account={there.account_id}")
        return found["settings"]["mode"] == "enforce" or None

    await until(holds, 10, "every worker follows")
    return there


async def outage(there: Site) -> list[Person]:
    """The people of one company, whose phones begin alike and whom a provider refused; and it is mended."""
    block, by_sms = f"+4474{secrets.randbelow(100_000):05}", {"sms": True, "email": False}
    phones = [f"{block}{number:03}" for number in range(COMPANY)]
    people = [replace(await there.person(mail=False, phone=phone, two_factor=by_sms), phone=phone) for phone in phones]
    await there.story.fault({"sms": {str(who.phone): {"mode": "refuse", "code": 21614} for who in people}})
    for login_id in [await login(there, who) for who in people]:
        await became(there, login_id, "failed")
    await mended(there)
    return people


async def replayed(site: Site, login_id: str) -> Any:
    body = {"account": site.account_id, "login_id": login_id}
    return await site.api.expect(202, "delivery", "POST", "/v1/replays", body)


async def got_one(there: Site, people: list[Person]) -> int:
    return sum([await there.messages(who) for who in people])


async def test_what_the_guard_stops_in_a_replay_is_told_let_through_and_sent_again(site: Site, console: Any):
    there = await guarded(site)
    people = await outage(there)
    page = await console(f"/replays/new?account={there.account_id}")
    await page.get_by_role("button", name=f"Send {COMPANY} again").click()
    told = page.locator("#missed .notice")
    await expect(told).to_contain_text("stopped 2 of them (guard-conversion)")
    await expect(page.locator("#missed").get_by_role("row").filter(has_text="guard-conversion")).to_contain_text("2")
    assert await got_one(there, people) == COMPANY - 2
    replay = page.url
    await page.get_by_role("link", name="See them").click()
    await expect(page.get_by_role("row").filter(has_text="guard-conversion")).to_have_count(2)
    await page.goto(replay)
    await told.get_by_role("link", name="See the guard").click()
    await expect(page.get_by_role("heading", name="It stops what looks like pumping")).to_be_visible()
    await let_through(page)
    await page.get_by_role("link", name="see what can be sent again").click()
    await expect(page.get_by_role("heading", name="2 of 2 would be sent again")).to_be_visible()
    await page.get_by_role("button", name="Send 2 again").click()
    await expect(page.locator("#progress")).to_contain_text("Of those sent again: delivered 2")
    await expect(page.locator("#missed")).to_be_hidden()
    assert await got_one(there, people) == COMPANY


async def let_through(page: Page) -> None:
    """The block of ten thousand, and with it all its thousands."""
    block = page.locator("#blocks").get_by_role("row").filter(has_text=re.compile(r"\+44 7\d{3} \d\d••••"))
    await expect(block).to_contain_text("stopped")
    await block.get_by_role("combobox").select_option(label="for 3 days")
    await block.get_by_role("button", name="Let through").click()
    await expect(page.get_by_text("These numbers are let through now.")).to_be_visible()
    await expect(block).to_contain_text("let through")


async def test_a_warning_stands_before_the_button_while_the_guard_stops_numbers(site: Site, console: Any):
    there = await guarded(site)
    await outage(there)
    page = await console(f"/replays/new?account={there.account_id}")
    await expect(page.get_by_role("button", name=f"Send {COMPANY} again")).to_be_visible()
    await expect(page.get_by_text("stops SMS to")).to_have_count(0)
    await page.get_by_role("button", name=f"Send {COMPANY} again").click()
    await expect(page.locator("#missed .notice")).to_be_visible()
    await page.locator("#missed").get_by_role("link", name="Send again…").click()
    await expect(page.get_by_text(re.compile(r"stops SMS to \d blocks? of numbers now"))).to_be_visible()


async def test_numbers_are_let_through_ahead_and_judged_again(site: Site, console: Any):
    there = await own_account(site)
    page = await console(f"/guard?account={there.account_id}")
    await expect(page.get_by_text("No block of numbers yet.")).to_be_visible()
    await page.get_by_text("Let numbers through before anything is sent…").click()
    form = page.locator("details form")
    await form.get_by_label("Whose numbers they are").fill("nobody")
    await form.get_by_label("Beginning of the numbers").fill("+44 79")
    await form.get_by_label("How long").select_option(label="for a week")
    await form.get_by_role("button", name="Let through").click()
    await expect(form.get_by_text("This is no account's id.")).to_be_visible()
    await form.get_by_label("Whose numbers they are").fill(there.account_id)
    await form.get_by_role("button", name="Let through").click()
    await expect(form.get_by_text("a block of a thousand or of ten thousand, like +44")).to_be_visible()
    await expect(form.get_by_label("Beginning of the numbers")).to_have_value("+44 79")
    await expect(form.get_by_label("How long")).to_have_value("168")
    await form.get_by_label("Beginning of the numbers").fill("+44 7911 12")
    await form.get_by_role("button", name="Let through").click()
    await expect(page.get_by_text("nothing was sent to numbers that begin so yet")).to_be_visible()
    assert "7911" not in page.url
    row = page.locator("#blocks").get_by_role("row").filter(has_text="+44791112…")
    await expect(row).to_contain_text("let through")
    await row.get_by_role("button", name="Judge again").click()
    await expect(page.get_by_text("These numbers are judged again.")).to_be_visible()
    await expect(row).to_have_count(0)
    query = "SELECT details FROM audit WHERE account_id = $1::text::uuid AND action = 'guard.allow' ORDER BY id"
    rows = await site.database("fetch", query, there.account_id, service="delivery")
    assert len(rows) == 2
    assert "7911" not in str([dict(each) for each in rows])


async def test_whom_no_code_reached_stands_on_the_overview_until_one_does(site: Site, console: Any):
    who, login_id = await refused(site)
    page = await console()
    await expect(page.locator("#unreached")).not_to_have_text("0")
    await page.get_by_role("link", name="see whom").click()
    row = page.get_by_role("row").filter(has_text=login_id[-8:])
    await expect(row).to_contain_text("21614")
    await mended(site)
    assert (await replayed(site, login_id))["matched"] == 1
    await arrived(site, who)
    await page.reload()
    await expect(row).to_have_count(0)


async def test_where_nothing_would_be_sent_there_is_no_button_and_it_is_said_why(site: Site, console: Any):
    who, login_id = await refused(site)
    statement = "UPDATE deliveries SET expires_at = now() WHERE login_id = $1::text::uuid"
    await site.database("execute", statement, login_id, service="delivery")
    page = await console(f"/replays/new?account={site.account_id}&login_id={login_id}")
    await expect(page.get_by_role("heading", name="Nothing would be sent again")).to_be_visible()
    await expect(page.locator("#count")).to_contain_text("1 with a code that is over")
    await expect(page.get_by_role("button", name=re.compile("Send"))).to_have_count(0)
    there = await own_account(site)
    await page.goto(address(site, f"/replays/new?account={there.account_id}"))
    await expect(page.get_by_text("No message that did not arrive fits")).to_be_visible()
    await expect(page.get_by_role("button", name=re.compile("Send"))).to_have_count(0)
    assert await site.messages(who) == 0


async def test_codes_that_are_over_are_not_offered_among_the_failures(site: Site, console: Any):
    there = await own_account(site)
    _, login_id = await refused(there)
    page = await console(f"/failures?account={there.account_id}")
    group = page.get_by_role("row").filter(has_text="21614")
    await expect(group).to_contain_text("1 would be sent again")
    await there.database(
        "execute",
        "UPDATE logins SET closed_why = 'verified' WHERE login_id = $1::text::uuid",
        login_id,
        service="delivery",
    )
    await page.reload()
    await expect(group).to_contain_text("nothing to send again: 1 signed in meanwhile")
    await expect(group.get_by_role("link", name="Send again…")).to_have_count(0)


async def test_a_click_on_the_end_of_an_id_selects_all_of_it(site: Site, console: Any):
    await refused(site)
    page = await console(f"/messages?account={site.account_id}")
    shown = page.locator("td .id").first
    await expect(shown).to_have_attribute("title", site.account_id)
    box = await shown.bounding_box()
    assert box is not None
    assert box["width"] < 120
    await shown.click()
    assert await page.evaluate("getSelection().toString()") == site.account_id


async def test_what_a_replay_sent_is_found_by_its_id_among_all_messages(site: Site, console: Any):
    who, login_id = await refused(site)
    await mended(site)
    made = await replayed(site, login_id)
    await arrived(site, who)
    page = await console(f"/messages?replay={made['replay_id']}")
    await expect(page.get_by_role("row").filter(has_text=login_id[-8:])).to_have_count(1)
    await page.get_by_label("State").select_option("failed")
    await page.get_by_role("button", name="Show").click()
    await expect(page.get_by_text("No message fits.")).to_be_visible()
    await expect(page.get_by_text("Only what this replay sent:")).to_be_visible()
