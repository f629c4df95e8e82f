"""The operators' console: what did not arrive and sending it again, the live log, a login as a picture, providers."""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
import pytest_asyncio
from playwright.async_api import Browser, Page, expect

from services.platform.clock import new_id
from services.platform.kafka import Connection, Producer
from tests.browser.chromium import Visitor, accessible, fits, visitors
from tests.browser.site import PASSWORD, Person, Site
from tests.integration.delivery.world import until

ONCE = ("form_token", "replay_id")
SMALL = {"viewport": {"width": 360, "height": 740}}


@pytest_asyncio.fixture(scope="session")
async def signed_in(site: Site, browser: Browser) -> Any:
    """What a browser keeps of an operator's sign-in."""
    who = await site.person(sms=True, role="operator")
    async with visitors(browser) as come:
        page = await come()
        await page.goto(address(site, "?span=day"))
        assert page.url.startswith(f"{site.base}/login?return_to=")
        await site.come_in(page, who, return_to=address(site, "?span=day"))
        assert page.url == address(site, "?span=day")
        return await page.context.storage_state()


def address(site: Site, path: str = "") -> str:
    return f"{site.stack.environment.url('delivery')}/operations{path}"


@pytest.fixture
def console(site: Site, visitor: Visitor, signed_in: Any) -> Any:
    """Opens a page of the console in a browser of its own."""

    async def come(path: str = "", **options: Any) -> Page:
        page = await visitor(storage_state=signed_in, **options)
        answer = await page.goto(address(site, path))
        assert answer is not None
        assert answer.status == 200, (path, answer.status)
        return page

    return come


async def login(site: Site, who: Person) -> str:
    """Begun by the API, so that a code goes out; its id."""
    body = {"account": site.account, "username": who.username, "password": PASSWORD}
    status, found = await site.api.call("gateway", "POST", "/v1/logins", body, authenticated=False)
    assert status == 202, found
    return str(found["login_id"])


async def refused(site: Site, code: int = 21614) -> tuple[Person, str]:
    """Somebody without an e-mail whose SMS was refused for good."""
    who = await site.person(sms=True, mail=False)
    await site.fault(who, "refuse", code=code)
    login_id = await login(site, who)
    await became(site, login_id, "failed")
    return who, login_id


async def mended(site: Site) -> None:
    await site.story.fault({"sms": {}, "email": {}})


async def became(site: Site, login_id: str, state: str) -> None:
    async with asyncio.timeout(20):
        while True:
            status, found = await site.api.call("delivery", "GET", f"/v1/timelines/{login_id}")
            if status == 200 and state in {row["state"] for row in found["deliveries"]}:
                return
            await asyncio.sleep(0.05)


async def arrived(site: Site, who: Person) -> None:
    async def came() -> bool | None:
        return await site.messages(who) == 1 or None

    await until(came, 20, "one message")


async def test_what_failed_is_counted_sent_again_after_a_yes_and_arrives(site: Site, console: Any):
    who, _ = await refused(site)
    page = await console(f"/failures?account={site.account_id}")
    group = page.get_by_role("row").filter(has_text="21614")
    await expect(group).to_contain_text(re.compile(r"[1-9]\d* would be sent again"))
    await mended(site)
    await group.get_by_role("link", name="Send again…").click()
    await expect(page.get_by_role("heading", name=re.compile(r"[1-9]\d* of \d+ would be sent again"))).to_be_visible()
    assert await site.messages(who) == 0
    await page.get_by_label("Messages a second").fill("0")
    await page.get_by_role("button", name=re.compile(r"Send \d+ again")).click()
    await expect(page.get_by_text("A number of at least 0.1.")).to_be_visible()
    await expect(page.get_by_label("Messages a second")).to_have_value("0")
    await page.get_by_label("Messages a second").fill("20")
    await page.get_by_role("button", name=re.compile(r"Send \d+ again")).click()
    await expect(page.get_by_role("heading", name="Done")).to_be_visible()
    await expect(page.locator("#sent")).not_to_have_text("0")
    await expect(page.locator("#progress")).to_contain_text("Of those sent again: delivered")
    assert await site.messages(who) == 1
    await page.get_by_role("navigation").get_by_role("link", name="Replays").click()
    await expect(page.get_by_role("row").filter(has_text="21614").first).to_contain_text("done")


async def test_a_form_that_is_sent_twice_begins_one_replay(site: Site, console: Any):
    who, _ = await refused(site)
    await mended(site)
    page = await console(f"/replays/new?account={site.account_id}")
    fields = {each: await page.locator(f"form[method=post] input[name={each}]").input_value() for each in ONCE}
    form = fields | {"account": site.account_id}
    headers = {"Origin": site.stack.environment.url("delivery")}
    where = [
        (await page.context.request.post(address(site, "/replays/new"), form=form, headers=headers)).url
        for _ in range(2)
    ]
    assert where[0] == where[1]
    assert fields["replay_id"] in where[0]
    await arrived(site, who)


async def test_every_step_is_seen_as_it_happens_and_a_pause_holds_it_back(site: Site, console: Any):
    page = await console(f"/live?account={site.account_id}")
    await expect(page.locator("#tail-state")).to_have_text("live")
    first = await login(site, await site.person(sms=True))
    row = page.get_by_role("row").filter(has_text=first[-8:])
    await expect(row.filter(has_text="arrived, says twilio")).to_be_visible()
    await page.get_by_role("button", name="Pause").click()
    await expect(page.locator("#tail-state")).to_have_text("paused")
    second = await login(site, await site.person(sms=True))
    await expect(page.locator("#held")).to_have_text(re.compile(r"[3-9] new"))
    await expect(page.get_by_role("row").filter(has_text=second[-8:])).to_have_count(0)
    await page.get_by_role("button", name="Go on").click()
    await expect(page.get_by_role("row").filter(has_text=second[-8:])).not_to_have_count(0)
    await row.first.get_by_role("link").click()
    await expect(page.get_by_role("heading", name=f"Login …{first[-8:]}")).to_be_visible()


async def test_a_filter_narrows_what_is_seen(site: Site, console: Any):
    page = await console("/live")
    await page.get_by_label("Channel").select_option("email")
    await page.get_by_label("Account's id").fill("nobody")
    await page.get_by_role("button", name="Show these").click()
    await expect(page.get_by_text("This is no account's id.")).to_be_visible()
    await page.get_by_label("Account's id").fill(site.account_id)
    await page.get_by_role("button", name="Show these").click()
    await expect(page.locator("#tail-state")).to_have_text("live")
    who = await site.person(sms=True)
    await site.fault(who, "refuse", code=21614)
    login_id = await login(site, who)
    row = page.get_by_role("row").filter(has_text=login_id[-8:])
    await expect(row.filter(has_text="smtp took it")).to_be_visible()
    await expect(row.filter(has_text="SMS")).to_have_count(0)


async def test_after_a_restart_the_tail_mends_itself_misses_nothing_and_the_charts_are_as_before(
    site: Site, console: Any
):
    tail = await console(f"/live?account={site.account_id}")
    await expect(tail.locator("#tail-state")).to_have_text("live")
    await login(site, await site.person(sms=True))
    charts = await console()
    before = await made(charts)
    assert before >= 1
    await site.stack.child("delivery").stop()
    await expect(tail.get_by_text("The connection is lost.")).to_be_visible()
    await expect(charts.get_by_text("The connection is lost.")).to_be_visible()
    missed = await login(site, await site.person(sms=True))
    await site.stack.run(site.stack.service("delivery"))
    await expect(tail.locator("#tail-state")).to_have_text("live", timeout=60_000)
    await expect(tail.get_by_role("row").filter(has_text=missed[-8:]).first).to_be_visible()
    await expect(charts.get_by_text("The connection is lost.")).to_be_hidden()

    async def more() -> bool | None:
        await charts.reload()
        return await made(charts) > before or None

    await until(more, 15, "the charts go on where they were")
    await expect(charts.locator(".plot canvas")).to_have_count(2)


async def made(page: Page) -> int:
    """How many messages came in the last hour, as the chart's table has it."""
    cells = await page.locator("#charts figure").first.locator("details td:nth-child(2)").all_text_contents()
    assert len(cells) == 60
    return sum(int(cell) for cell in cells)


async def test_a_login_is_a_picture_that_says_what_the_steps_say(site: Site, console: Any):
    who = await site.person(sms=True)
    await site.fault(who, "refuse", code=21614)
    login_id = await login(site, who)
    await became(site, login_id, "sent")
    page = await console(f"/messages?login_id={login_id}")
    assert page.url == address(site, f"/logins/{login_id}")
    picture = page.get_by_role("img", name="Timeline of the login")
    await expect(picture.locator("text.lane")).to_have_text(["SMS: at sign-in", "E-mail: the SMS did not arrive"])
    await expect(picture.locator("rect.refused")).to_have_count(1)
    await expect(picture.locator("rect.called")).to_have_count(1)
    said = str(await picture.locator("desc").text_content())
    for text in ("failed, twilio", "21614", who.phone_masked, "smtp took it"):
        assert text in said
    steps = page.locator("ol.steps li")
    await expect(steps.filter(has_text="21614")).to_contain_text("→")
    body = await page.content()
    assert str(who.phone) not in body
    assert str(who.email) not in body


async def test_a_provider_is_switched_off_and_on_for_every_worker(site: Site, console: Any):
    page = await console("/providers")
    card = page.locator("#smtp")
    await card.get_by_role("button", name="Switch smtp off").click()
    try:
        await expect(card.get_by_text("off", exact=True)).to_be_visible()
        _, found = await site.api.call("delivery", "GET", "/v1/providers")
        assert {row["name"]: row["enabled"] for row in found["providers"]}["smtp"] is False
    finally:
        await card.get_by_role("button", name="Switch smtp on").click()
    await expect(card.get_by_text("on", exact=True)).to_be_visible()
    await card.get_by_text("Place and limits").click()
    await card.get_by_label("Position").fill("2000")
    await card.get_by_role("button", name="Save").click()
    await expect(card.get_by_text("A whole number from 0 to 1000.")).to_be_visible()
    await expect(card.get_by_label("Position")).to_have_value("2000")
    await card.get_by_label("Position").fill("0")
    await card.get_by_label("Calls a second").fill("500")
    await card.get_by_role("button", name="Save").click()
    await expect(card.get_by_label("Position")).to_be_hidden()  # the page that follows
    _, found = await site.api.call("delivery", "GET", "/v1/providers")
    assert {row["name"]: row["per_second"] for row in found["providers"]}["smtp"] == 500
    await card.get_by_text("Place and limits").click()
    await card.get_by_label("Calls a second").fill("")
    await card.get_by_role("button", name="Save").click()
    await expect(card.get_by_role("button", name="Switch smtp off")).to_be_visible()


async def test_figures_of_a_provider_and_of_a_country_stand_beside_it(site: Site, console: Any):
    who = await site.person(sms=True)
    login_id = await login(site, who)
    await became(site, login_id, "delivered")
    page = await console("/providers")
    card = page.locator("#twilio")
    await expect(card).to_contain_text(re.compile(r"Success\s*\d+(\.\d)?% of [\d,]+ calls?"))
    await expect(card).to_contain_text(re.compile(r"p50 \d+ ms, p95 [\d.]+ m?s"))
    await expect(card).to_contain_text(re.compile(r"[1-9][\d,]* arrived"))
    await expect(card).to_contain_text("closed")
    countries = page.get_by_role("region", name="Conversion and cost by country").get_by_role("row")
    async with asyncio.timeout(20):
        while not await countries.filter(has_text="GB").filter(has_text="twilio").count():
            await asyncio.sleep(0.2)
            await page.reload()


async def test_a_pause_of_one_account_holds_its_codes_until_it_is_ended(site: Site, console: Any):
    page = await console("/providers")
    await page.get_by_text("Pause…").click()
    held = page.locator("#held")
    await held.get_by_label("Account's id").fill(site.account_id)
    await held.get_by_label("Country").fill("XX")
    await held.get_by_role("button", name="Pause", exact=True).click()
    await expect(held.get_by_text("XX is no country of phone numbers")).to_be_visible()
    await held.get_by_label("Country").fill("")
    await held.get_by_role("button", name="Pause", exact=True).click()
    line = held.get_by_role("listitem").filter(has_text=site.account_id)
    await expect(line).to_be_visible()
    who = await site.person(sms=True)
    login_id = await login(site, who)
    await became(site, login_id, "queued")
    await line.get_by_role("button", name="Resume").click()
    await expect(line).to_have_count(0)
    await became(site, login_id, "delivered")
    assert await site.messages(who) == 1


async def letter(site: Site, value: bytes) -> str:
    """A record that nobody can use; the id of its letter."""
    producer, since = Producer(Connection(site.stack.kafka), "gatepost-test"), datetime.now(UTC) - timedelta(seconds=1)
    await producer.send("login-challenges", b"k", value, [])
    await producer.stop()
    async with asyncio.timeout(30):
        while True:
            query = f"?since={since:%Y-%m-%dT%H:%M:%SZ}&topic=login-challenges&state=open"
            _, found = await site.api.call("delivery", "GET", f"/v1/dead-letters{query}")
            if found["dead_letters"]:
                return str(found["dead_letters"][0]["id"])
            await asyncio.sleep(0.1)


async def test_a_dead_letter_is_found_opened_taken_again_and_put_away_with_a_reason(site: Site, console: Any):
    phone = f"+4479{datetime.now(UTC):%H%M%S}77"
    letter_id = await letter(site, b'{"type": "LoginChallenged", "phone": "%s"}' % phone.encode())
    page = await console("/dead-letters?topic=login-challenges")
    await page.locator(f"a[href$='{letter_id}']").click()
    await page.get_by_role("link", name="Open it").click()
    await expect(page.get_by_role("region", name="The record")).to_contain_text('"phone": "(text, 13)"')
    assert phone not in await page.content()
    assert await audited(site, "dead-letters.show", letter_id) == 1
    await page.get_by_role("button", name="Take it again").click()
    await expect(page.get_by_text("It is still bad, and became a new dead letter.")).to_be_visible()
    again = await letter(site, b"not json")
    await page.goto(address(site, f"/dead-letters/{again}"))
    await page.get_by_role("button", name="Put it away").click()
    await expect(page.get_by_text("Say in 3 to 200 characters why nobody needs it.")).to_be_visible()
    await page.get_by_label("Why nobody needs it").fill("made by a test")
    await page.get_by_role("button", name="Put it away").click()
    await expect(page.get_by_text("made by a test")).to_be_visible()
    await expect(page.get_by_role("button")).to_have_count(0)
    assert await audited(site, "dead-letters.discard", again) == 1


async def audited(site: Site, action: str, subject: str) -> int:
    connection = await asyncpg.connect(site.stack.dsn("delivery"))
    try:
        query = "SELECT count(*) FROM audit WHERE action = $1 AND subject = $2 AND who LIKE 'user:%'"
        return int(await connection.fetchval(query, action, subject))
    finally:
        await connection.close()


async def test_only_operators_come_in_and_everybody_else_is_told_whose_console_it_is(site: Site, visitor: Visitor):
    page, admin = await visitor(), await site.person(sms=True, role="admin")
    await site.come_in(page, admin, return_to=address(site, "/providers"))
    await expect(page.get_by_role("heading", name="This console is not for you")).to_be_visible()
    await expect(page.get_by_text("This console is for operators")).to_be_visible()
    await accessible(page)
    for path in ("/live/steps", "/replays/new", f"/dead-letters/{new_id()}/record"):
        answer = await page.goto(address(site, path))
        assert answer is not None
        assert answer.status == 403


async def test_a_session_that_was_ended_goes_to_the_sign_in_at_the_next_refresh(site: Site, visitor: Visitor):
    page, who = await visitor(), await site.person(sms=True, role="operator")
    await site.come_in(page, who, return_to=address(site, "?span=day"))
    path = f"/v1/accounts/{site.account_id}/users/{who.user_id}/expire-sessions"
    await site.api.expect(200, "gateway", "POST", path, {})
    await page.wait_for_url(re.compile(r"/login\?return_to=.*/operations\?span%3Dday$"))


async def every_page(site: Site) -> AsyncIterator[str]:
    _, login_id = await refused(site)
    letter_id = await letter(site, b"not json")
    account = f"account={site.account_id}"
    for path in ("", "?span=day", "/messages", "/messages?state=expired&cause=notice", "/messages?account=x&since=y"):
        yield path
    for path in (f"/failures?{account}", "/failures?account=no", f"/logins/{login_id}", f"/live?{account}", "/replays"):
        yield path
    for path in ("/replays/new", f"/replays/new?{account}&since=now", "/providers", "/providers?span=day"):
        yield path
    for path in ("/dead-letters", "/dead-letters?state=discarded", f"/dead-letters/{letter_id}"):
        yield path
    yield f"/dead-letters/{letter_id}/record"
    for path in ("/guard", f"/guard?{account}&days=7", "/guard?account=no", "/guard?said=let-through-ahead"):
        yield path
    yield "/messages?unreached=true&replay=*:nobody&country=GB"
    made = await site.api.expect(202, "delivery", "POST", "/v1/replays", {"account": site.account_id})
    yield f"/replays/{made['replay_id']}?{account}"


async def test_every_page_fits_360_pixels_and_axe_finds_nothing_light_and_dark(site: Site, console: Any):
    page = await console(**SMALL)
    async for path in every_page(site):
        await page.goto(address(site, path))
        await expect(page.get_by_role("heading", level=1)).to_be_visible()
        await fits(page)
        await accessible(page)
    for path in ("/logins/nobody", f"/logins/{new_id()}", "/nothing"):
        await page.goto(address(site, path))
        await expect(page.get_by_role("heading", name="Not found")).to_be_visible()
        await accessible(page)


async def test_without_javascript_all_of_it_works_by_links_and_forms(site: Site, console: Any):
    who, login_id = await refused(site)
    page = await console("/live?state=failed", java_script_enabled=False)
    await expect(page.get_by_role("row").filter(has_text=login_id[-8:])).to_be_visible()
    await expect(page.get_by_role("button", name="Pause")).to_have_count(0)
    await page.get_by_role("link", name="Look again").click()
    await page.goto(address(site, "?span=day"))
    await page.get_by_text("The same as a table").first.click()
    await expect(page.get_by_role("region", name="Messages by time")).to_be_visible()
    await mended(site)
    await page.goto(address(site, f"/replays/new?account={site.account_id}"))
    await page.get_by_role("button", name=re.compile(r"Send \d+ again")).click()
    while not await page.get_by_role("heading", name="Done").is_visible():
        await page.reload()
    await arrived(site, who)


async def test_the_keyboard_is_enough_to_send_again(site: Site, console: Any):
    who, _ = await refused(site)
    await mended(site)
    page = await console(f"/failures?account={site.account_id}")
    await page.keyboard.press("Tab")
    await expect(page.get_by_role("link", name="Skip to the content")).to_be_focused()
    await page.keyboard.press("Enter")
    await reach(page, "Send again…")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Send again")).to_be_visible()
    await reach(page, "Send")
    await page.keyboard.press("Enter")
    await expect(page.get_by_role("heading", name="Done")).to_be_visible()
    await arrived(site, who)


async def reach(page: Page, beginning: str) -> None:
    """By the tabulator alone."""
    for _ in range(60):
        await page.keyboard.press("Tab")
        text = str(await page.evaluate("document.activeElement.textContent.trim()"))
        if text.startswith(beginning):
            return
    raise AssertionError(beginning)
