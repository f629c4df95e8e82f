"""`gatepost watch`, `doctor`, `probe` and `deliveries` as an operator runs them, against the running system."""

import asyncio
import json
import os
import pty
import re
import signal
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio

from deploy.local.environment import gatepost
from deploy.local.paths import ROOT
from deploy.local.stack import Stack
from deploy.local.story import Story
from tests.commands import Command
from tests.e2e.test_commands import Terminal
from tests.e2e.test_outages import a_phone, frozen, killed, somebody, town

__all__ = ["town"]

PATIENCE = 30.0


@pytest_asyncio.fixture(loop_scope="session")
async def terminal(story: Story, stack: Stack, tmp_path: Path) -> Terminal:
    return operator(story, stack, tmp_path)


def operator(story: Story, stack: Stack, home: Path, **more: str) -> Terminal:
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in story.api.urls.items()}
    return Terminal(home, GATEPOST_CLIENT_FILE=str(stack.environment.client_file("operator")), **urls, **more)


async def lines_of(stream: asyncio.StreamReader | None) -> AsyncIterator[str]:
    assert stream is not None
    async with asyncio.timeout(PATIENCE):
        async for line in stream:
            yield line.decode().rstrip()


async def until_said(stream: asyncio.StreamReader | None, text: str) -> list[str]:
    seen = []
    async for line in lines_of(stream):
        seen.append(line)
        if text in line:
            return seen
    raise AssertionError(f"no {text!r} in {seen}")


async def ended(process: Command) -> int:
    process.send_signal(signal.SIGINT)
    await asyncio.wait_for(process.communicate(), PATIENCE)
    return int(process.returncode or 0)


async def test_watch_shows_each_step_in_plain_lines_and_ends_cleanly(town: Story, terminal: Terminal):
    name = await somebody(town, phone=a_phone(), two_factor={"sms": True})
    other = await somebody(town, phone=a_phone(), two_factor={"sms": True})
    process = await terminal.start("watch", "--account", town.account, "--channel", "sms")
    await until_said(process.stderr, "following http")
    _, login = await town.sign_in(name)
    seen = await until_said(process.stdout, "arrived, says twilio")
    assert all(login["login_id"] in line and "\x1b" not in line for line in seen), seen
    assert [any(word in line for line in seen) for word in ("queued (login)", "twilio took it")] == [True, True]
    await town.sign_in(other)
    await until_said(process.stdout, "arrived, says twilio")
    assert await ended(process) == 0


async def test_watch_comes_again_by_itself_and_misses_nothing(town: Story, stack: Stack, terminal: Terminal):
    names = [await somebody(town, phone=a_phone(), two_factor={"sms": True}) for _ in range(2)]
    process = await terminal.start("watch", "--account", town.account, "--json")
    await until_said(process.stderr, "following http")
    _, first = await town.sign_in(names[0])
    seen = await until_said(process.stdout, '"delivered"')
    async with killed(stack, "delivery"):
        said = await until_said(process.stderr, "again in")
        assert "from step" in said[-1]
        _, second = await town.sign_in(names[1])
    await until_said(process.stderr, "following http")
    seen += await until_said(process.stdout, '"delivered"')
    steps = [json.loads(line) for line in seen]
    whats = [(step["login_id"], step["what"]) for step in steps]
    for login in (first, second):
        own = [what for login_id, what in whats if login_id == login["login_id"]]
        assert (own[0], own[-1]) == ("queued", "delivered"), whats
    assert len({step["id"] for step in steps}) == len(steps)
    assert await ended(process) == 0


async def test_watch_at_a_terminal_keeps_a_header_with_the_rates(town: Story, stack: Stack, tmp_path: Path):
    name = await somebody(town, phone=a_phone(), two_factor={"sms": True})
    ours, theirs = pty.openpty()
    urls = {f"GATEPOST_{key.upper()}_URL": url for key, url in town.api.urls.items()}
    told = {"GATEPOST_HOME": str(tmp_path), "TERM": "xterm", "COLUMNS": "200", "LINES": "40"} | urls
    told |= {"GATEPOST_CLIENT_FILE": str(stack.environment.client_file("operator"))}
    command = gatepost("watch", "--account", town.account)
    process = await asyncio.create_subprocess_exec(
        *command,
        cwd=ROOT,
        env={**os.environ, **told},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        await shown(ours, "following http")
        await town.sign_in(name)
        assert "sent" in await shown(ours, "arrived, says twilio")
        await shown(ours, "oldest waiting 0 s")
        process.send_signal(signal.SIGINT)
        drain = asyncio.create_task(shown(ours, "never said"))
        assert await asyncio.wait_for(process.wait(), PATIENCE) == 0
        drain.cancel()
    finally:
        os.close(ours)


async def shown(handle: int, text: str) -> str:
    """What the terminal got until then."""
    seen = ""
    os.set_blocking(handle, False)
    async with asyncio.timeout(PATIENCE):
        while text not in seen:
            try:
                seen += os.read(handle, 65536).decode(errors="replace")
            except BlockingIOError:
                await asyncio.sleep(0.05)
            except OSError:
                return seen
    return seen


async def test_watch_says_what_is_wrong_where_coming_again_would_not_help(story: Story, tmp_path: Path):
    (tmp_path / "client").write_text("nobody:secret")
    urls = {f"GATEPOST_{name.upper()}_URL": url for name, url in story.api.urls.items()}
    status, said = await Terminal(tmp_path, GATEPOST_CLIENT_FILE=str(tmp_path / "client"), **urls).run("watch")
    assert (status, "Unknown client" in said, "Traceback" in said) == (1, True, False), said


async def test_a_list_is_narrowed_and_gone_through_to_its_end(town: Story, terminal: Terminal):
    phone = a_phone()
    name = await somebody(town, phone=phone, two_factor={"sms": True})
    _, login = await town.sign_in(name)
    await settled(terminal, login["login_id"])
    status, said = await terminal.run("deliveries", "list", "--login", login["login_id"], "--all", "--json")
    (row,) = [json.loads(line) for line in said.splitlines()]
    assert (status, row["state"], row["country"]) == (0, "delivered", "GB")
    asked = [
        "--user",
        row["user"],
        "--country",
        "GB",
        "--cause",
        "login",
        "--provider",
        "twilio",
        "--state",
        "delivered",
    ]
    status, said = await terminal.run("deliveries", "list", *asked)
    assert (status, login["login_id"] in said) == (0, True)
    status, said = await terminal.run("deliveries", "list", "--login", login["login_id"], "--country", "FR")
    assert (status, "Nothing matches" in said) == (0, True)
    status, said = await terminal.run("deliveries", "list", "--cause", "whim")
    assert (status, "fallback" in said) == (2, True), said


async def settled(terminal: Terminal, login_id: str) -> dict[str, Any]:
    async with asyncio.timeout(PATIENCE):
        while True:
            status, said = await terminal.run("deliveries", "show", login_id, "--json")
            found: dict[str, Any] = json.loads(said) if status == 0 else {"deliveries": []}
            if any(row["state"] in ("delivered", "sent") for row in found["deliveries"]):
                return found


async def test_a_login_is_drawn_and_an_unknown_one_says_what_to_do(story: Story, terminal: Terminal):
    await story.fault({"sms": {"+442079460102": {"mode": "refuse", "code": 21614}}})
    _, login = await story.sign_in("grace")
    await settled(terminal, login["login_id"])
    await story.fault({"sms": {}})
    status, said = await terminal.run("deliveries", "show", login["login_id"])
    assert status == 0
    for text in (
        "failed, twilio",
        "not-a-mobile:21614",
        "→ Ask the user",
        "╰───▶ ●",
        "smtp took it",
        "the login is open",
    ):
        assert text in said, said
    status, said = await terminal.run("deliveries", "show", login["login_id"][:-4] + "ffff")
    assert (status, "gatepost deliveries list" in said) == (1, True)


def verdicts(said: str) -> dict[str, dict[str, str]]:
    return {line["name"]: line for line in json.loads(said)["lines"]}


def is_ill(found: dict[str, dict[str, str]]) -> bool:
    """What the other tests of this run did to the providers shows too."""
    return any(line["status"] == "FAIL" for line in found.values())


def troubles(found: dict[str, dict[str, str]]) -> list[str]:
    return [f"{name}: {line['figure']}" for name, line in found.items() if line["status"] != "OK"]


async def doctor(terminal: Terminal) -> tuple[int | None, dict[str, dict[str, str]]]:
    status, said = await terminal.run("doctor", "--json")
    assert "Traceback" not in said
    return status, verdicts(said)


async def test_the_doctor_finds_a_well_system_well_and_a_pause(town: Story, stack: Stack, tmp_path: Path):
    terminal = operator(town, stack, tmp_path, GATEPOST_KAFKA=stack.kafka)
    status, found = await doctor(terminal)
    assert (found["kafka"]["status"], found["clocks"]["status"]) == ("OK", "OK"), troubles(found)
    assert status == is_ill(found), troubles(found)
    assert {found[name]["status"] for name in ("gateway", "delivery", "session_store", "migrations")} == {"OK"}
    account = {"account": town.account}
    await town.api.expect(200, "delivery", "POST", "/v1/deliveries/pause", account)
    try:
        await asyncio.sleep(2.1)  # a reading is kept for two seconds
        status, found = await doctor(terminal)
        assert (status, found["pauses"]["status"]) == (is_ill(found), "WARN")
        _, said = await terminal.run("doctor")
        assert "docs/operations.md#codes-are-kept-back" in said
        assert "Is anybody waiting?" in said
    finally:
        await town.api.expect(200, "delivery", "POST", "/v1/deliveries/resume", account)


async def test_the_doctor_sees_a_broken_provider(town: Story, terminal: Terminal):
    """Twenty refusals that are the provider's own fault open its breaker."""
    await town.fault({"sms": {"*": {"mode": "error", "status": 500}}})
    try:
        names = [await somebody(town, phone=a_phone(), two_factor={"sms": True}) for _ in range(22)]
        await asyncio.gather(*(town.sign_in(name) for name in names))
        async with asyncio.timeout(PATIENCE):
            while True:
                status, found = await doctor(terminal)
                if found["twilio"]["status"] != "OK" and status == 1:
                    break
        assert found["twilio"]["section"] == "a-provider-fails"
    finally:
        await town.fault({"sms": {}})
        await healed(town)


async def healed(town: Story) -> None:
    """Until the breaker has closed: logins are its probes."""
    async with asyncio.timeout(PATIENCE):
        while True:
            found = await town.api.expect(200, "delivery", "GET", "/v1/providers")
            if all(provider["breaker"] == "closed" for provider in found["providers"]):
                return
            await town.sign_in(await somebody(town, phone=a_phone(), two_factor={"sms": True}))
            await asyncio.sleep(0.5)


async def test_the_doctor_says_that_kafka_and_that_delivery_are_away(town: Story, stack: Stack, tmp_path: Path):
    terminal = operator(town, stack, tmp_path, GATEPOST_KAFKA=stack.kafka)
    with frozen(stack, "kafka"):
        status, found = await doctor(terminal)
        assert (status, found["kafka"]["status"], found["gateway"]["status"]) == (1, "FAIL", "OK"), found
    with frozen(stack, "delivery"):
        status, found = await doctor(terminal)
        assert (status, found["delivery"]["status"], found["deliveries"]["status"]) == (1, "FAIL", "FAIL")
        assert "gatepost serve delivery" in found["delivery"]["do"]


@pytest.mark.parametrize("more", [{}, {"GATEPOST_CLIENT_FILE": "/nowhere"}, {"GATEPOST_KAFKA": "127.0.0.1:1"}], ids=str)
async def test_the_doctor_comes_before_anything_runs(tmp_path: Path, more: dict[str, str]):
    nowhere = {f"GATEPOST_{name}_URL": "http://127.0.0.1:1" for name in ("GATEWAY", "DELIVERY", "SESSION_STORE")}
    status, said = await Terminal(tmp_path, **nowhere, **more).run("doctor")
    assert (status, said.count("FAIL ") >= 4, "Traceback" in said) == (1, True, False), said
    assert said.startswith("Is anybody waiting?"), said


async def probing(terminal: Terminal, town: Story, name: str, *more: str) -> Command:
    process = await terminal.start("probe", "--account", town.account, "--username", name, *more)
    assert process.stdin is not None
    process.stdin.write(town.people[name].password.encode() + b"\n")
    await process.stdin.drain()
    return process


async def test_a_handle_in_place_of_an_id_is_named_as_that(terminal: Terminal):
    status, said = await terminal.run("deliveries", "show", "lg_AQEAAAAA")
    assert (status, "handle" in said, "login_id" in said) == (2, True, True), said


async def test_a_probe_signs_in_through_the_provider_and_out_again(town: Story, terminal: Terminal):
    phone = a_phone()
    name = await somebody(town, phone=phone, two_factor={"sms": True})
    before = datetime.now(UTC)
    process = await probing(terminal, town, name, "--verify")
    assert process.stdin is not None
    process.stdin.write((await town.code_for(phone, "sms", before)).encode() + b"\n")
    out, problems = await process.communicate()
    said = out.decode()
    assert process.returncode == 0, said + problems.decode()
    for text in (
        "the gateway took the login",
        "twilio took it",
        "arrived, says twilio",
        "The SMS arrived",
        "signed out",
    ):
        assert text in said, said
    times = [int(ms) for ms in re.findall(r"^ *(\d+) ms  ", said, re.M)]
    assert len(times) >= 5
    assert times == sorted(times), said


async def test_a_probe_whose_sms_fails_ends_with_1_unless_an_email_will_do(town: Story, terminal: Terminal):
    phone = a_phone()
    name = await somebody(town, phone=phone, email=f"{phone[1:]}@example.com", two_factor={"sms": True})
    await town.fault({"sms": {phone: {"mode": "refuse", "code": 21614}}})
    try:
        for more, expected in (((), 1), (("--allow-fallback",), 0)):
            process = await probing(terminal, town, name, *more)
            out, problems = await process.communicate()
            said = (out + problems).decode()
            assert (process.returncode, "took the place of one that did not arrive" in said) == (expected, True), said
            assert "right mobile number" in said
    finally:
        await town.fault({"sms": {}})


async def test_a_probe_that_a_limit_sends_by_email_or_refuses_says_that_nothing_was_tested(
    town: Story, terminal: Terminal
):
    """Five SMS an hour to a number, ten sign-ins an hour of a user."""
    phone = a_phone()
    name = await somebody(town, phone=phone, email=f"{phone[1:]}@example.com", two_factor={"sms": True, "email": True})
    for sign_ins, expected in ((5, "No SMS was tried"), (4, "not an outage")):
        for _ in range(sign_ins):
            await town.sign_in(name)
        process = await probing(terminal, town, name)
        out, problems = await process.communicate()
        said = (out + problems).decode()
        assert (process.returncode, expected in said) == (3, True), said


async def test_a_probe_of_a_user_without_a_second_factor_or_with_a_wrong_password_says_so(
    town: Story, terminal: Terminal
):
    name = await somebody(town, email="plain@example.com")
    out, problems = await (await probing(terminal, town, name)).communicate()
    assert "no second factor" in (out + problems).decode()
    status, said = await terminal.run("probe", "--account", town.account, "--username", name)
    assert (status, "standard input has ended" in said) == (1, True), said
