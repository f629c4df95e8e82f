"""Account Settings > Users, as an account's administrator works there."""

import re
import secrets
from dataclasses import replace

from aiohttp.test_utils import unused_port
from playwright.async_api import Page, expect

from tests.browser.chromium import Visitor
from tests.browser.consoles import CONSOLE, administrator, page_of, user_of
from tests.browser.gateways import gateway
from tests.browser.site import PASSWORD, Person, Site
from tests.browser.test_sign_in import signed_in


async def saved(page: Page, words: str = "Saved. No session ended by it.") -> None:
    await expect(page.get_by_role("status").first).to_have_text(words)


async def save(page: Page) -> None:
    await page.get_by_role("button", name="Save", exact=True).click()


async def test_a_user_is_added_and_can_sign_in_as_the_sentence_said(site: Site, visitor: Visitor):
    page, _ = await administrator(site, visitor)
    await page.get_by_role("link", name="Add a user").click()
    name, address = f"new-{secrets.token_hex(4)}", f"n{secrets.token_hex(4)}@example.com"
    await page.get_by_label("Username").fill(name)
    await page.get_by_label("E-mail", exact=True).fill(address)
    await page.get_by_label("Password").fill(PASSWORD)
    await expect(page.locator("#experience")).to_have_text("The password alone signs them in: no code is asked for.")
    await page.get_by_label("Authentication by Email").check()
    await expect(page.locator("#experience")).to_have_text("After the password a code by e-mail; no SMS is sent.")
    await page.get_by_role("button", name="Add the user").click()
    await expect(page.get_by_role("heading", name=name)).to_be_visible()
    who = Person(name, page.url.rpartition("/")[2].partition("?")[0], None, address)
    other = await visitor()
    await site.sign_in(other, who)
    await site.enter(other, await site.code(who, "email"))
    await signed_in(other)


async def test_what_is_wrong_is_said_beside_its_field_and_what_was_typed_is_kept(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person()
    await page.goto(page_of(site, who))
    await page.get_by_label("Name", exact=True).fill("Anna Ångström")
    await page.get_by_label("Phone", exact=True).fill("12")
    await page.get_by_label("Authentication by SMS").check()
    await save(page)
    phone = page.get_by_label("Phone", exact=True)
    await expect(phone).to_have_attribute("aria-invalid", "true")
    described = str(await phone.get_attribute("aria-describedby")).split()
    assert await page.get_by_role("alert").get_attribute("id") in described
    await expect(phone).to_have_value("12")
    await expect(page.get_by_label("Name", exact=True)).to_have_value("Anna Ångström")
    await expect(page.get_by_label("Authentication by SMS")).to_be_checked()
    await phone.fill("")
    await save(page)
    await expect(page.get_by_role("alert")).to_contain_text("needs a phone number")
    await page.get_by_label("Phone", exact=True).fill("+44 7400 123456")
    await save(page)
    await saved(page)
    found = await user_of(site, who)
    assert (found["name"], found["phone"], found["two_factor"]["sms"]) == ("Anna Ångström", "+447400123456", True)
    await expect(page.get_by_text("+44 •••• ••56")).to_be_visible()
    assert "7400" not in await page.content()  # contacts are masked


async def test_contacts_stay_unless_they_are_removed(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person(sms=True)
    await page.goto(page_of(site, who))
    await page.get_by_label("Kind").select_option("Integration (API access)")
    await save(page)
    await expect(page.get_by_role("status").first).to_contain_text("All sessions of this user are over")
    assert (await user_of(site, who))["phone"] == who.phone
    await page.locator("input[name=no_email]").check()
    await expect(page.locator("#experience")).to_contain_text("if it fails they cannot sign in")
    await save(page)
    await saved(page)
    found = await user_of(site, who)
    assert (found["phone"], "email" in found, found["kind"]) == (who.phone, False, "integration")
    await expect(page.get_by_text("There is no e-mail address on file: when an SMS fails")).to_be_visible()


async def test_save_leaves_sessions_alone_and_save_and_force_login_ends_them(site: Site, visitor: Visitor):
    (page, _), who, theirs = await administrator(site, visitor), await site.person(), await visitor()
    await site.come_in(theirs, who)
    token = await site.token(theirs)
    await site.story.becomes(token, True)
    await page.goto(page_of(site, who))
    await page.get_by_label("Authentication by Email").check()
    await save(page)
    await saved(page)
    await site.story.becomes(token, True)
    await page.get_by_role("button", name="Save and force login").click()
    await saved(page, "Saved. All sessions of this user are over: they have to sign in again.")
    await site.story.becomes(token, False)


async def test_the_second_of_two_administrators_is_told_who_was_faster_and_what_is_on_file(
    site: Site, visitor: Visitor
):
    (one, first), (two, _) = await administrator(site, visitor), await administrator(site, visitor)
    who = await site.person()
    for page in (one, two):
        await page.goto(page_of(site, who))
    await one.get_by_label("Name", exact=True).fill("First")
    await save(one)
    await saved(one)
    await two.get_by_label("Name", exact=True).fill("Second")
    await two.get_by_label("Authentication by Email").check()
    await save(two)
    told = two.get_by_role("alert")
    await expect(told).to_contain_text(f"Nothing of yours was saved: {first.username} changed this user")
    await expect(told).to_contain_text("(name)")
    await expect(told).to_contain_text("you began with revision 1, it is revision 2 now")
    await expect(two.get_by_label("Name", exact=True)).to_have_value("Second")
    await expect(two.locator("#name-now")).to_have_text("On file now: First")
    await expect(two.locator("#email_on-now")).to_have_text("On file now: off")
    assert (await user_of(site, who))["name"] == "First"
    await save(two)  # now that they know
    await saved(two)
    found = await user_of(site, who)
    assert (found["name"], found["two_factor"]["email"]) == ("Second", True)


async def test_whoever_is_locked_out_is_unlocked(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person()
    await site.database(
        "execute",
        "INSERT INTO user_guard (user_id, locked_at, wrong_total) VALUES ($1::text::uuid, now(), 100)"
        " ON CONFLICT (user_id) DO UPDATE SET locked_at = now(), wrong_total = 100",
        who.user_id,
    )
    await page.goto(page_of(site, who))
    await expect(page.get_by_text("is locked out")).to_be_visible()
    await page.get_by_role("button", name="Unlock").click()
    await saved(page, "Unlocked: the wrong codes and passwords are forgotten.")
    assert (await user_of(site, who))["locked"] is False


async def test_whoever_typed_too_many_wrong_passwords_is_let_in_at_once(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person()

    async def tried(password: str) -> int:
        body = {"account": site.account, "username": who.username, "password": password}
        status, _ = await site.api.call("gateway", "POST", "/v1/logins", body, authenticated=False)
        return status

    while await tried("wrong") != 429:
        pass
    assert await tried(PASSWORD) == 429
    await page.goto(page_of(site, who))
    await page.get_by_role("button", name="Forget wrong tries").click()
    await saved(page, "Unlocked: the wrong codes and passwords are forgotten.")
    assert await tried(PASSWORD) == 200


async def test_one_session_is_ended_or_all_of_a_users(site: Site, visitor: Visitor):
    (page, _), who, tokens = await administrator(site, visitor), await site.person(), []
    for _ in range(3):
        theirs = await visitor()
        await site.come_in(theirs, who)
        tokens.append(await site.token(theirs))
        await site.story.becomes(tokens[-1], True)
    await page.goto(page_of(site, who))
    rows = page.get_by_role("button", name="End this session: Chrome on Linux, since")
    while await rows.count() < 3:  # the list is read from the database, which hears a little later
        await page.reload()
    await rows.first.click()  # newest first
    await saved(page, "That session is over.")
    await site.story.becomes(tokens[2], False)
    await expect(rows).to_have_count(2)
    await site.story.becomes(tokens[0], True)
    await page.get_by_role("button", name="Force sessions to expire").click()
    await saved(page, "All sessions of this user are over.")
    for token in tokens:
        await site.story.becomes(token, False)
    await expect(page.get_by_text(f"{who.username} is not signed in anywhere.")).to_be_visible()


async def test_a_password_is_made_shown_once_and_signs_in(site: Site, visitor: Visitor):
    (page, _), who, theirs = await administrator(site, visitor), await site.person(), await visitor()
    await site.come_in(theirs, who)
    token = await site.token(theirs)
    await site.story.becomes(token, True)
    await page.goto(page_of(site, who))
    await page.get_by_role("link", name="Set a password").click()
    await page.get_by_role("button", name="Make one and set it").click()
    await saved(page, "All their sessions are over: they sign in again with the new password.")
    made = await page.get_by_label("The new password").input_value()
    await site.story.becomes(token, False)
    await site.sign_in(theirs, who)
    await expect(theirs.get_by_role("alert")).to_have_text("Username or password is wrong.")
    await site.sign_in(theirs, who, made)
    await signed_in(theirs)
    await page.get_by_role("link", name=f"Back to {who.username}").click()
    assert made not in await page.content()


async def test_a_password_is_typed_twice_by_keyboard_and_whoever_sets_their_own_signs_in_again(
    site: Site, visitor: Visitor
):
    page, admin = await administrator(site, visitor)
    await page.goto(f"{page_of(site, admin)}/password")
    await page.get_by_label("New password").focus()
    await page.keyboard.type("another good phrase")
    await page.keyboard.press("Tab")
    await page.keyboard.type("another good fhrase")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("alert")).to_contain_text("The two are not the same")
    await page.get_by_label("New password").fill("another good phrase")
    await page.get_by_label("The same once more").fill("another good phrase")
    await page.keyboard.press("Enter")
    await saved(page, "All their sessions are over: they sign in again with the new password.")
    await page.get_by_role("link", name="Sign in again").click()
    await page.get_by_label("Username").fill(admin.username)
    await page.get_by_label("Password").fill("another good phrase")
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code with")).to_be_visible()


async def test_a_user_is_deleted_after_their_name_was_typed_and_is_signed_out_everywhere(site: Site, visitor: Visitor):
    (page, _), who, theirs = await administrator(site, visitor), await site.person(), await visitor()
    await site.come_in(theirs, who)
    token = await site.token(theirs)
    await site.story.becomes(token, True)
    await page.goto(page_of(site, who))
    await page.get_by_role("link", name="Delete this user").click()
    while not await page.get_by_text("1 session ends now, on every device.").count():
        await page.reload()
    await page.get_by_label("Type the username").fill("somebody")
    await page.get_by_role("button", name="Delete for good").click()
    await expect(page.get_by_role("alert")).to_contain_text("That is not the username")
    await expect(page.get_by_label("Type the username")).to_have_value("somebody")
    await site.story.becomes(token, True)
    await page.get_by_label("Type the username").fill(who.username)
    await page.get_by_role("button", name="Delete for good").click()
    await saved(page, "The user is deleted, and all their sessions are over.")
    await site.story.becomes(token, False)
    await page.get_by_role("searchbox").fill(who.username)
    await expect(page.get_by_text("Nobody is found")).to_be_visible()


async def test_over_a_fresh_sign_in_one_comes_back_with_what_was_typed(site: Site, visitor: Visitor):
    old: set[str] = set()
    port, who = unused_port(), await site.person()
    async with gateway(site, port, old, GATEPOST_PUBLIC_URL=f"http://127.0.0.1:{port}") as base:
        there = replace(site, base=base)
        page, admin = await administrator(there, visitor)
        old.add(await there.token(page, CONSOLE))
        await page.goto(page_of(there, who))
        await expect(page.get_by_text("before you begin: it leads back here")).to_be_visible()
        await page.get_by_label("Phone", exact=True).fill("+44 7400 123456")
        await page.get_by_label("Authentication by SMS").check()
        await save(page)
        await expect(page.get_by_text("15 minutes")).to_have_count(1)
        await expect(page.get_by_role("alert")).to_contain_text("Nothing was saved.")
        await page.get_by_role("link", name="Sign in again").click()
        await page.get_by_label("Username").fill(admin.username)
        await page.get_by_label("Password").fill(PASSWORD)
        await page.get_by_role("button", name="Sign in").click()
        await expect(page.get_by_label("Code with")).to_be_visible()
        await page.get_by_label("Code with").fill(await there.code_after(admin))
        await expect(page.get_by_text("what you typed is here. Nothing of it is saved yet.")).to_be_visible()
        await expect(page.get_by_label("Phone", exact=True)).to_have_value("+44 7400 123456")
        await save(page)
        await saved(page)
        assert (await user_of(there, who))["phone"] == "+447400123456"
        await page.reload()
        await expect(page.get_by_text("what you typed is here.")).to_have_count(0)


async def test_users_are_found_as_one_types_and_the_address_does_not_say_what_was_looked_for(
    site: Site, visitor: Visitor
):
    (page, _), who, others = await administrator(site, visitor), await site.person(sms=True), await site.person()
    await page.get_by_role("searchbox").fill(who.username)
    await expect(page.get_by_role("link", name=who.username)).to_be_visible()
    await expect(page.get_by_role("link", name=others.username)).to_be_hidden()
    await page.get_by_role("searchbox").fill(str(who.phone))
    await expect(page.locator("#list tbody tr")).to_have_count(1)
    await page.get_by_role("searchbox").fill("nobody-of-that-name")
    await expect(page.get_by_text("Nobody is found by “nobody-of-that-name”.")).to_be_visible()
    await page.get_by_role("searchbox").fill(str(who.email))
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("link", name=who.username)).to_be_visible()
    assert "example" not in page.url


async def test_a_lost_connection_is_shown_and_what_was_looked_for_comes_when_it_is_back(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person()
    await page.route("**/account/users/find", lambda route: route.abort())
    await page.get_by_role("searchbox").fill(who.username)
    await expect(page.get_by_text("The connection was lost.")).to_be_visible()
    await page.unroute("**/account/users/find")
    async with page.expect_response("**/account/users/find") as asked_again:
        await page.route("**/account/users/find", lambda route: route.fulfill(status=503, body="<p>away</p>"))
    assert (await asked_again.value).status == 503
    await expect(page.get_by_text("The connection was lost.")).to_be_visible()
    await expect(page.get_by_text("away")).to_have_count(0)
    await page.unroute("**/account/users/find")
    await expect(page.locator("#list tbody tr")).to_have_count(1)
    await expect(page.get_by_text("The connection was lost.")).to_be_hidden()


async def test_many_users_come_in_pages(site: Site, visitor: Visitor):
    page, _ = await administrator(site, visitor)
    tag = secrets.token_hex(4)
    names = [f"{tag}-{number:02d}" for number in range(53)]
    for name in names:
        path = f"/v1/accounts/{site.account_id}/users"
        await site.api.expect(201, "gateway", "POST", path, {"username": name})
    async with page.expect_response(lambda answer: "find=" in answer.url):  # all users are fifty on a page too
        await page.get_by_role("searchbox").fill(tag)
    await expect(page.locator("#list tbody tr").first).to_contain_text(names[0])
    await expect(page.locator("#list tbody tr")).to_have_count(50)
    await page.get_by_role("link", name="Next page").click()
    await expect(page.locator("#list tbody tr")).to_have_count(3)
    await expect(page.get_by_role("link", name=names[52])).to_be_visible()
    await expect(page.get_by_role("searchbox")).to_have_value(tag)
    await page.get_by_role("link", name="First page").click()
    await expect(page.locator("#list tbody tr")).to_have_count(50)


async def test_without_javascript_users_are_found_edited_and_their_sessions_ended(site: Site, visitor: Visitor):
    page, _ = await administrator(site, visitor, java_script_enabled=False)
    who, theirs = await site.person(), await visitor()
    await site.come_in(theirs, who)
    await site.story.becomes(await site.token(theirs), True)
    await page.get_by_role("searchbox").fill(who.username)
    await page.get_by_role("button", name="Search").click()
    assert who.username not in page.url
    await page.get_by_role("link", name=who.username).click()
    while not await page.get_by_role("button", name="End this session").count():
        await page.reload()
    await page.get_by_label("Authentication by Email").check()
    await save(page)
    await saved(page)
    await expect(page.locator("#experience")).to_have_text("After the password a code by e-mail; no SMS is sent.")
    await page.get_by_role("button", name="End this session").click()
    await saved(page, "That session is over.")
    await page.reload()  # sends nothing again
    await saved(page, "That session is over.")


async def test_the_keyboard_is_enough_to_edit_a_user(site: Site, visitor: Visitor):
    (page, _), who = await administrator(site, visitor), await site.person()
    await page.get_by_role("searchbox").focus()
    await page.keyboard.type(who.username)
    await page.keyboard.press("Enter")
    await expect(page.locator("#list tbody tr")).to_have_count(1)
    await until(page, "document.activeElement.textContent", who.username)
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Details")).to_be_visible()
    await until(page, "document.activeElement.name", "name")
    await page.keyboard.type("By keyboard")
    await until(page, "document.activeElement.name", "email_on")
    await page.keyboard.press("Space")
    await until(page, "document.activeElement.textContent", "Save")
    await page.keyboard.press("Enter")
    await saved(page)
    found = await user_of(site, who)
    assert (found["name"], found["two_factor"]["email"]) == ("By keyboard", True)


async def until(page: Page, what: str, wanted: str) -> None:
    """Tab on until the focus is there, in the order of the page."""
    for _ in range(40):
        await page.keyboard.press("Tab")
        if str(await page.evaluate(what) or "").strip() == wanted:
            return
    raise AssertionError(f"the keyboard does not reach {wanted}")


async def test_a_session_that_ended_leads_to_the_sign_in_and_back_to_where_one_was(site: Site, visitor: Visitor):
    (page, admin), who = await administrator(site, visitor), await site.person()
    await page.goto(page_of(site, who))
    path = f"/v1/accounts/{site.account_id}/users/{admin.user_id}/expire-sessions"
    await site.api.expect(200, "gateway", "POST", path, {})
    await save(page)
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    await expect(page.get_by_label("Organisation")).to_have_count(0)  # that is known
    await page.get_by_label("Username").fill(admin.username)
    await page.get_by_label("Password").fill(PASSWORD)
    await page.get_by_role("button", name="Sign in").click()
    await expect(page.get_by_label("Code with")).to_be_visible()
    await page.get_by_label("Code with").fill(await site.code_after(admin))
    await expect(page.get_by_role("heading", name="Details")).to_be_visible()
    assert page.url == page_of(site, who)


async def test_a_user_without_the_role_is_told_whose_console_it_is_and_how_to_go_on(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person()
    await site.sign_in(page, who, return_to="/account")
    await expect(page.get_by_role("heading", name="This console is not for you")).to_be_visible()
    await expect(page.get_by_text(re.compile("whose role is user"))).to_be_visible()
    await page.get_by_role("link", name="Sign in as somebody else").click()
    await page.get_by_role("button", name="Sign out").click()
    await expect(page.get_by_role("heading", name="Sign in")).to_be_visible()
    assert "return_to=/account" in page.url
