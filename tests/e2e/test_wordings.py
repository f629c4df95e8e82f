"""Wording as an operator changes it: by command, by folder, and what a bad one is told."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from deploy.local.environment import gatepost
from deploy.local.paths import ROOT
from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.e2e.test_commands import Terminal

WORDING = {
    "account_name": "Demo Ltd",
    "sms_sender": "DEMO",
    "texts": {"en": {"sms": "{account}: {code}, for {minutes} minutes.", "email_greeting": "Dear customer,"}},
}


@pytest.fixture
def terminal(story: Story, stack: Stack, tmp_path: Path) -> Terminal:
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in story.api.urls.items()}
    return Terminal(tmp_path, **urls, GATEPOST_CLIENT_FILE=str(stack.environment.client_file("operator")))


async def test_an_operator_tries_sets_shows_and_takes_back_an_accounts_words(
    story: Story, terminal: Terminal, tmp_path: Path
):
    file, page = tmp_path / "words.json", tmp_path / "mail.html"
    file.write_text(json.dumps(WORDING))
    tried = await terminal.run("wordings", "preview", "demo", "--file", str(file), "--html", str(page))
    assert tried[0] == 0, tried
    assert "SMS from DEMO (en; 52 of 160 characters, 1 segment)" in tried[1]
    assert "  Demo Ltd: 123456, for 5 minutes.\n\n  @127.0.0.1 #123456\n" in tried[1]
    assert "  Dear customer,\n\n  Use this code to finish signing in at Demo Ltd:\n\n  123456\n" in tried[1]
    assert page.read_text().startswith("<!DOCTYPE html>")
    assert "your sign-in code" in (await terminal.run("wordings", "preview", "demo"))[1]
    assert (await terminal.run("wordings", "set", "demo", str(file)))[0] == 0
    try:
        assert json.loads((await terminal.run("wordings", "show", "demo", "--json"))[1]) == WORDING
        assert "Demo Ltd: 123456" in (await terminal.run("wordings", "preview", "demo", "--locale", "en-GB"))[1]
    finally:
        assert (await terminal.run("wordings", "delete", "demo"))[0] == 0
    assert "nothing of its own" in (await terminal.run("wordings", "show", "demo"))[1]


async def test_a_wording_that_cannot_be_used_says_which_and_why(terminal: Terminal, story: Story, tmp_path: Path):
    file = tmp_path / "words.json"
    for content, status, why in (
        ('{"texts": {"en": {"sms": "{name}"}}}', 1, "{code}, {account}, {minutes}. [texts.en.sms] (400"),
        ("{", 2, "not JSON"),
        ('{"text": {}}', 1, "unknown field `text`"),
    ):
        file.write_text(content)
        code, said = await terminal.run("wordings", "set", "demo", str(file))
        assert (code, why in " ".join(said.split())) == (status, True), said
    assert (await terminal.run("wordings", "set", "demo", str(tmp_path / "none.json")))[0] == 2


async def test_a_folder_is_judged_without_any_service(tmp_path: Path):
    terminal, words = Terminal(tmp_path), tmp_path / "words"
    (words / "sv").mkdir(parents=True)
    (words / "sv" / "code.sms.txt").write_text("{{ code }} är din inloggningskod.")
    judged = await terminal.run("wordings", "check", str(words), "--host", "login.example.com")
    assert judged == (0, "good: de, en, es, fr, it, nl, pt, sv\n")
    (words / "sv" / "code.sms.txt").write_text("{{ code }}\n{{ kod }}")
    status, said = await terminal.run("wordings", "check", str(words), "--host", "login.example.com")
    assert (status, said.startswith(f"{words}/sv/code.sms.txt:2: 'kod' is undefined.")) == (2, True), said


async def test_delivery_does_not_start_with_wording_that_cannot_be_used(stack: Stack, tmp_path: Path):
    (tmp_path / "de").mkdir()
    (tmp_path / "de" / "code.txt").write_text("Subject: S\n\n{{ code }}\n\n{{ nobody }}\n")
    changed = {"GATEPOST_TEMPLATES": str(tmp_path), "GATEPOST_HTTP_PORT": "0", "GATEPOST_INSTANCE_ID": "words"}
    process = await asyncio.create_subprocess_exec(
        *gatepost("serve", "delivery"),
        cwd=ROOT,
        env=os.environ | stack.environment.of_service("delivery") | changed,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, problems = await asyncio.wait_for(process.communicate(), 60)
    assert process.returncode == 2, (out, problems)
    assert f"{tmp_path}/de/code.txt:5: 'nobody' is undefined. It may name account, code," in problems.decode()
