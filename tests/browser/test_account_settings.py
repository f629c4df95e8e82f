"""Account Settings > Advanced > General, the report of users outside two-factor, the audit, the import."""

import re
import secrets
from pathlib import Path
from typing import Any

import pytest
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor
from tests.browser.consoles import administrator, own_account, page_of
from tests.browser.site import Site

GENERAL = "/account/general"


async def settings_of(site: Site) -> Any:
    return (await site.api.expect(200, "gateway", "GET", f"/v1/accounts/{site.account_id}"))["settings"]


async def count_shown(page: Page, at_least: int) -> None:
    """The list of sessions is read from the database, which hears a little later."""
    while int((await page.locator("#clear ~ p .figure").inner_text()).replace(",", "")) < at_least:
        await page.reload()


async def grow_old(site: Site, who: Any, days: int) -> None:
    """Let a user's sessions be opened so many days ago, as the store's list and preview see it."""
    statement = (
        "UPDATE sessions SET issued_at = issued_at - make_interval(days => $2),"
        " login_id = overlay(login_id::text placing '00000000' from 1 for 8)::uuid WHERE user_id = $1::text::uuid"
    )
    await site.database("execute", statement, who.user_id, days, service="session-store")


async def test_the_preview_says_how_many_sessions_a_length_ends_and_saving_it_does_that(site: Site, visitor: Visitor):
    there = await own_account(site)
    (page, _), who, theirs = await administrator(there, visitor, GENERAL), await there.person(), await visitor()
    await there.come_in(theirs, who)
    await there.story.becomes(await there.token(theirs), True)
    await count_shown(page, 2)
    await grow_old(there, who, 40)
    await page.get_by_role("textbox", name="Duration").fill("30")
    told = page.locator("#preview .notice")
    await expect(told).to_have_text(
        re.compile(r"^1 session ends now: opened more than 30 days ago\. The others, and all")
    )
    assert (await settings_of(there))["session_seconds"] == 90 * 86_400
    await page.get_by_role("textbox", name="Duration").fill("180")
    await expect(told).to_have_text(re.compile("^No session ends now. Open sessions and new ones end 180 days after"))
    await page.get_by_label("Unit").select_option("hours")
    await page.get_by_role("textbox", name="Duration").fill("9000")
    await expect(page.get_by_role("alert")).to_contain_text("1 hour to 365 days")
    await page.get_by_role("textbox", name="Duration").fill("720")
    await page.get_by_role("button", name="Save 720 hours").click()
    await expect(page.get_by_role("status").first).to_have_text("Saved: it counts from now on.")
    await expect(page.get_by_text("A session ends 30 days after it was opened.")).to_be_visible()
    assert (await settings_of(there))["session_seconds"] == 30 * 86_400


async def test_without_javascript_the_length_is_previewed_and_saved(site: Site, visitor: Visitor):
    there = await own_account(site)
    page, _ = await administrator(there, visitor, GENERAL, java_script_enabled=False)
    await page.get_by_role("textbox", name="Duration").fill("x")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_role("alert")).to_have_text("Enter a whole number of days or hours.")
    await expect(page.get_by_role("textbox", name="Duration")).to_have_value("x")
    await page.get_by_role("textbox", name="Duration").fill("60")
    await page.get_by_role("button", name="Preview").click()
    await expect(page.get_by_text("No session ends now: all were opened within the last 60 days.")).to_be_visible()
    await page.get_by_role("button", name="Save 60 days").click()
    await expect(page.get_by_text("A session ends 60 days after it was opened.")).to_be_visible()


async def test_clear_all_ends_every_session_and_the_other_browser_lands_on_sign_in_at_its_next_click(
    site: Site, visitor: Visitor
):
    there = await own_account(site)
    (page, admin), (second, _) = await administrator(there, visitor, GENERAL), await administrator(there, visitor)
    who, theirs = await there.person(kind="integration"), await visitor()
    await there.come_in(theirs, who)
    token = await there.token(theirs)
    await there.story.becomes(token, True)
    await count_shown(page, 3)
    await page.get_by_label("Type the account's name").fill("somebody else's")
    await page.get_by_role("button", name="Clear all login sessions").click()
    await expect(page.get_by_role("alert")).to_contain_text("That is not the account's name")
    await expect(page.get_by_label("Type the account's name")).to_have_value("somebody else's")
    await there.story.becomes(token, True)
    await page.get_by_label("Type the account's name").fill(there.account)
    await page.get_by_role("button", name="Clear all login sessions").click()
    await expect(page.get_by_role("heading", name="All login sessions are cleared")).to_be_visible()
    await expect(page.get_by_text("3 sessions were open, yours among them.")).to_be_visible()
    await expect(page.locator(".notice b")).to_have_text(re.compile(r"^\d\.\d\d s$"))
    await second.get_by_role("link", name="Add a user").click()  # its next click
    await expect(second.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "return_to=/account/users/new" in second.url
    await there.story.becomes(token, False)
    await page.get_by_role("link", name="Sign in again").click()
    await there.sign_in(page, admin, return_to=GENERAL)
    await expect(page.get_by_label("Code with")).to_be_visible()
    await page.get_by_label("Code with").fill(await there.code_after(admin))
    await expect(page.get_by_role("heading", name="General", level=1)).to_be_visible()


async def test_the_report_shows_who_is_outside_two_factor(site: Site, visitor: Visitor):
    there = await own_account(site)
    (page, _), inside = await administrator(there, visitor, "/account/outside"), await there.person(email=True)
    await expect(page.get_by_text("Everybody has a second factor.")).to_be_visible()
    person, robot = await there.person(), await there.person(kind="integration", mail=False)
    await there.person(disabled=True)
    await page.reload()
    await expect(page.get_by_role("link", name="1 person", exact=True)).to_have_attribute("aria-current", "page")
    await expect(page.get_by_role("link", name=person.username)).to_be_visible()
    await expect(page.get_by_role("row")).to_have_count(2)
    await page.get_by_role("link", name="1 integration user, who may do without").click()
    await expect(page.get_by_role("link", name=robot.username)).to_be_visible()
    await expect(page.get_by_role("link", name=inside.username)).to_have_count(0)
    await page.goto(f"{there.base}/account/outside")
    await page.get_by_role("link", name=person.username).click()
    await page.get_by_label("Authentication by Email").check()
    await page.get_by_role("button", name="Save", exact=True).click()
    await expect(page.get_by_role("status").first).to_contain_text("Saved")
    await page.get_by_role("link", name="Outside two-factor").click()
    await expect(page.get_by_text("Everybody has a second factor.")).to_be_visible()


async def test_the_audit_says_who_did_what_and_is_filtered(site: Site, visitor: Visitor):
    there = await own_account(site)
    (page, admin), who = await administrator(there, visitor), await there.person()
    await page.goto(page_of(there, who))
    await page.get_by_label("Phone", exact=True).fill("+44 7400 654321")
    await page.get_by_role("button", name="Save and force login").click()
    await expect(page.get_by_role("status").first).to_contain_text("Saved.")
    await page.get_by_role("link", name="What was done to this user").click()
    rows = page.locator("#list tbody tr")
    await expect(rows).to_have_count(2)
    await expect(rows.first).to_contain_text("User changed")
    await expect(rows.first).to_contain_text("force login, phone")
    await expect(rows.first.get_by_role("link", name=admin.username)).to_be_visible()
    assert "654321" not in await page.content()
    assert who.username not in page.url
    await page.get_by_label("What was done").select_option("User added")
    await expect(rows).to_have_count(1)
    await page.get_by_role("link", name="Audit").click()
    await expect(rows).to_have_count(4)  # the account, the administrator, the user, the change
    await rows.first.get_by_role("link", name=admin.username).click()
    await expect(rows).to_have_count(1)
    await expect(page.get_by_text(f"By {admin.username}")).to_be_visible()
    await page.get_by_role("link", name="by anybody").click()
    await expect(rows).to_have_count(4)


def csv_file(folder: Path, text: str, encoding: str = "utf-8") -> str:
    file = folder / "users.csv"
    file.write_text(text, encoding=encoding)
    return str(file)


@pytest.mark.parametrize("script", [True, False], ids=["scripted", "unscripted"])
async def test_a_file_of_users_is_imported_and_each_line_that_is_not_taken_is_named(
    site: Site, visitor: Visitor, tmp_path: Path, script: bool
):
    page, _ = await administrator(site, visitor, java_script_enabled=script)
    await page.get_by_role("link", name="Import").click()
    tag = secrets.token_hex(4)
    rows = [
        "username,external_id,name,phone,email,two_factor_sms,two_factor_email",
        f"{tag}-a,e-{tag}-a,Ångström,,a{tag}@example.com,no,yes",
        f"{tag}-b,e-{tag}-b,,,,yes,no",
        f"{tag}-c,e-{tag}-c,,12,,no,no",
        f"{tag}-d,e-{tag}-d,,,,maybe,no",
        f"{tag}-e,e-{tag}-e,,,,no,no",
    ]
    await page.get_by_label("CSV file").set_input_files(csv_file(tmp_path, "\n".join(rows)))
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("status").first).to_have_text("2 added, 0 brought up to date, 3 not taken.")
    for words, line in (("needs a phone number", 3), ("phone", 4), ("two_factor_sms must be true or false", 5)):
        row = (
            page.get_by_role("row")
            .filter(has_text=words)
            .filter(has=page.get_by_role("cell", name=str(line), exact=True))
        )
        await expect(row).to_have_count(1)
    assert tag not in page.url
    rows[2:] = [f"{tag}-b,e-{tag}-b,,,,no,no"]
    await page.get_by_label("CSV file").set_input_files(csv_file(tmp_path, "\n".join(rows), "utf-8-sig"))
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("status").first).to_have_text("1 added, 1 brought up to date, 0 not taken.")


@pytest.mark.parametrize(
    ("text", "encoding", "words"),
    [
        ("name,colour\nx,y\n", "utf-8", "unknown columns colour"),
        ("username,name\nx,Ångström\n", "latin-1", "Line 2 is not UTF-8"),
        ("username\n", "utf-8", "There is no user in the file"),
        ("username\n" + "x\n" * 1001, "utf-8", "use `gatepost users import`"),
    ],
)
async def test_a_file_that_cannot_be_used_is_refused_beside_its_field(
    site: Site, visitor: Visitor, tmp_path: Path, text: str, encoding: str, words: str
):
    page, _ = await administrator(site, visitor, "/account/users/import")
    await page.get_by_label("CSV file").set_input_files(csv_file(tmp_path, text, encoding))
    await page.get_by_role("button", name="Import").click()
    await expect(page.get_by_role("alert")).to_contain_text(words)
    assert await page.get_by_role("alert").get_attribute("id") == "file-wrong"


async def test_the_keyboard_is_enough_to_clear_all(site: Site, visitor: Visitor):
    there = await own_account(site)
    page, _ = await administrator(there, visitor, GENERAL)
    await page.get_by_label("Type the account's name").focus()
    await page.keyboard.type(there.account)
    await page.keyboard.press("Tab")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="All login sessions are cleared")).to_be_visible()
