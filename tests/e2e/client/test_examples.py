"""The programs in `examples/`, each as its reader would start it. GATEPOST_EXAMPLES_LOGINS=10000 feeds as many."""

import asyncio
import os
import secrets
import sys
from pathlib import Path

import gatepost_client as gp
from deploy.local.paths import ROOT
from deploy.local.stack import Stack
from deploy.local.story import Story
from gatepost_client import Gatepost, topics
from tests.e2e.client.test_feeding import taken
from tests.e2e.client.test_signing_in import PASSWORD, by_email, code_of, person
from tests.programs import program

LOGINS = int(os.environ.get("GATEPOST_EXAMPLES_LOGINS", "300"))


async def run(*command: str, **environment: str) -> list[str]:
    """What it printed, by lines; its exit code is 0."""
    code, out, errors = await ran(*command, **environment)
    assert code == 0, errors
    return out.splitlines()


async def ran(*command: str, **environment: str) -> tuple[int | None, str, str]:
    own = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "clients/python"), **environment}
    pipe = asyncio.subprocess.PIPE
    started = await asyncio.create_subprocess_exec(*command, cwd=ROOT, env=own, stdout=pipe, stderr=pipe)
    out, errors = await started.communicate()
    return started.returncode, out.decode(), errors.decode()


async def test_what_the_environment_lacks_is_named():
    command = (sys.executable, "examples/feed_logins.py", "--user", "somebody")
    code, _, said = await ran(*command, GATEPOST_CLIENT="name:secret")
    assert (code, "set GATEPOST_URL in the environment" in said) == (2, True)
    code, _, said = await ran(*command, "--by", "topic", "--account", "its-id")
    assert (code, "set KAFKA and GATEPOST_CLIENT in the environment" in said) == (2, True)


async def test_a_platform_feeds_many_logins_each_once(
    story: Story, gatepost: Gatepost, pair: tuple[str, str], tmp_path: Path
):
    users = [(await person(story))["external_id"] for _ in range(3)]
    (tmp_path / "users").write_text("\n".join([*users, "nobody"]))
    name = f"run{secrets.token_hex(4)}x"
    command = [sys.executable, "examples/feed_logins.py", "--users", str(tmp_path / "users"), "--run", name]
    where = {"GATEPOST_URL": story.api.urls["gateway"], "GATEPOST_CLIENT": ":".join(pair)}
    first = await run(*command, "--count", str(LOGINS), **where)
    assert dict(line.split("\t")[:2] for line in first) == {
        "SignedIn": str(LOGINS - LOGINS // 4),
        "refused: unknown-user": str(LOGINS // 4),
        "answered": str(LOGINS),
    }
    sys.stderr.write(first[-1] + "\n")
    opened = [(await gatepost.feed.state(f"{name}-{number}")).login_id for number in range(3)]
    again = await run(*command, "--count", "4", **where)
    assert again[:2] == ["SignedIn\t3", "refused: unknown-user\t1"]
    assert [(await gatepost.feed.state(f"{name}-{number}")).login_id for number in range(3)] == opened


async def test_a_platform_feeds_as_many_by_the_topic(
    stack: Stack, story: Story, gatepost: Gatepost, pair: tuple[str, str], tmp_path: Path
):
    users = [(await person(story))["external_id"] for _ in range(3)]
    (tmp_path / "users").write_text("\n".join([*users, "nobody"]))
    name = f"run{secrets.token_hex(4)}x"
    command = [sys.executable, "examples/feed_logins.py", "--users", str(tmp_path / "users"), "--run", name]
    topic = ("--by", "topic", "--account", story.account, "--count", str(LOGINS))
    printed = await run(*command, *topic, KAFKA=stack.kafka, GATEPOST_CLIENT=":".join(pair))
    assert dict(line.split("\t")[:2] for line in printed) == {"Written": str(LOGINS), "answered": str(LOGINS)}
    sys.stderr.write(printed[-1] + "\n")
    refused = set[str | None]()
    async with topics.login_outcomes(bootstrap_servers=stack.kafka) as outcomes:
        async for event in outcomes:
            refused |= {event.reference} if (event.reference or "").startswith(name) else set()
            if len(refused) == LOGINS // 4:
                break
    assert refused == {f"{name}-{number}" for number in range(3, LOGINS, 4)}
    for number in (0, 1, 2, LOGINS - 4, LOGINS - 3, LOGINS - 2):
        assert (await taken(gatepost, f"{name}-{number}")).status == "signed_in"


async def test_the_first_platform_of_the_readme_has_a_session(story: Story, pair: tuple[str, str], tmp_path: Path):
    eve = await person(story)
    program_text = (ROOT / "clients/python/README.md").read_text().split("```python\n")[1].split("```")[0]
    for here, there in (
        ("crm-77", eve["external_id"]),
        ("http://127.0.0.1:8080", story.api.urls["gateway"]),
        ("http://127.0.0.1:8082", story.api.urls["session_store"]),
    ):
        assert here in program_text
        program_text = program_text.replace(here, there)
    (tmp_path / "first.py").write_text(program_text)
    path = str(tmp_path / "first.py")
    [printed] = await run(sys.executable, path, CLIENT_ID=pair[0], CLIENT_SECRET=pair[1])
    assert printed.startswith(f"Session(sub='{eve['user_id']}'")


async def test_two_dashboards_read_the_same_table(stack: Stack, story: Story, gatepost: Gatepost):
    program("kcat", "kcat")
    program("jq", "jq")
    user, contact = await by_email(story)
    login = await gatepost.logins.start(user["username"], PASSWORD, account="demo")
    assert isinstance(login, gp.Login)
    await code_of(story, contact)
    while True:
        before = await run(sys.executable, "examples/outcomes_table.py", KAFKA=stack.kafka)
        shell = await run("examples/outcomes_table.sh", KAFKA=stack.kafka)
        if before == await run(sys.executable, "examples/outcomes_table.py", KAFKA=stack.kafka):
            break
    assert shell == before
    assert before[0].split() == ["provider", "channel", "country", "sent", "delivered", "failed"]
    rows = {tuple(line.split()[:3]): [int(cell) for cell in line.split()[3:]] for line in before[1:]}
    assert rows["smtp", "email", "-"][0] > 0
