"""The pumping guard as an operator sees and steers it on the command line."""

import json
from pathlib import Path

import pytest

from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.e2e.test_commands import Terminal


@pytest.fixture
def terminal(story: Story, stack: Stack, tmp_path: Path) -> Terminal:
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in story.api.urls.items()}
    return Terminal(tmp_path, **urls, GATEPOST_CLIENT_FILE=str(stack.environment.client_file("operator")))


async def test_an_accounts_settings_change_one_by_one_and_go_back(story: Story, terminal: Terminal):
    wanted = ("guard", "set", "demo", "--country", "gb,ie", "--daily-budget", "50")
    assert (await terminal.run(*wanted))[0] == 0
    try:
        code, said = await terminal.run("guard", "set", "demo", "--fallback", "email", "--json")
        assert (code, json.loads(said)["own"]) == (
            0,
            {"countries": ["GB", "IE"], "daily_budget": 50.0, "fallback": "email"},
        )
        shown = await terminal.run("guard", "settings", "demo")
        assert "in_force.countries GB" in " ".join(shown[1].split())
        assert "in_force.installation_budget none" in " ".join(shown[1].split())
        code, said = await terminal.run("guard", "set", "demo", "--conversion", "3")
        assert (code, "conversion" in said) == (1, True), said
    finally:
        assert (await terminal.run("guard", "reset", "demo"))[0] == 0
    assert json.loads((await terminal.run("guard", "settings", "demo", "--json"))[1])["own"] == {}


async def test_a_beginning_is_let_through_and_shown(story: Story, terminal: Terminal):
    code, said = await terminal.run("guard", "allow", "+49 1512 345", "--account", "demo", "--hours", "2")
    assert (code, "Nothing was sent yet" in said) == (0, True), said
    code, said = await terminal.run("guard", "show", "--account", "demo")
    assert code == 0
    assert "monitor (nothing is stopped): from 20 SMS on, 10% have to come back" in said
    assert "+491512345…" in said
    assert "lifted" in said
    code, said = await terminal.run("guard", "allow", "030 1234", "--account", "demo")
    assert (code, "a block of a thousand" in " ".join(said.split())) == (1, True), said
    code, said = await terminal.run("guard", "allow", "+49 1512 345", "--account", "demo", "--hours", "0")
    assert code == 0, said
    assert "+491512345…" not in (await terminal.run("guard", "show", "--account", "demo"))[1]


async def test_what_went_to_mailboxes_that_are_off_is_listed(story: Story, terminal: Terminal):
    code, said = await terminal.run("deliveries", "list", "--email-off", "--json")
    assert code == 0
    assert all(each["email_off"] and each["channel"] == "email" for each in json.loads(said)["deliveries"])
