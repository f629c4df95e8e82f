"""`gatepost` imports what a command needs: a service is up sooner, a command answers sooner."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import typer
from typer.main import get_command

from deploy.local.processes import inherited
from services.__main__ import OWNERS, app, mount

ROOT = Path(__file__).parents[2]
SAY = """
import sys
from services.__main__ import main
try:
    main()
except SystemExit:
    pass
print(*sorted(sys.modules))
"""


def words(*, of: str = "") -> set[str]:
    """Every command and each of its own, as one word after another."""
    root = typer.Typer()
    root.registered_commands.extend(app.registered_commands)
    mount(root, of)
    return set(_below(get_command(root)))


def _below(command: object, path: str = "") -> list[str]:
    under = getattr(command, "commands", {})
    found = [path] if path else []
    return found + [word for name, each in under.items() for word in _below(each, f"{path} {name}".strip())]


def test_every_command_is_found_by_its_first_word() -> None:
    everything = words()
    assert {word.partition(" ")[0] for word in everything} == set(OWNERS) - {"--version"}
    for first in OWNERS:
        wanted = {word for word in everything if word.partition(" ")[0] == first}
        assert wanted <= words(of=first), first


@pytest.mark.parametrize(
    ("arguments", "not_needed"),
    [
        (["--version"], ["aiohttp", "asyncpg", "services.delivery.commands", "services.login_gateway.commands"]),
        (["serve", "--help"], ["services.delivery.commands", "services.login_gateway.commands"]),
        (["users", "--help"], ["services.delivery", "faust"]),
        (["serve", "delivery"], ["botocore", "jwt"]),
        (["serve", "session-store"], ["phonenumbers", "email_validator", "faust"]),
    ],
)
def test_what_is_not_needed_is_not_imported(arguments: list[str], not_needed: list[str]) -> None:
    """A service without settings has imported all of itself before it says what is missing."""
    done = subprocess.run(
        [sys.executable, "-c", SAY, *arguments], capture_output=True, text=True, check=False, cwd=ROOT, env=inherited()
    )
    imported = set(done.stdout.splitlines()[-1].split())
    assert "services.__main__" in imported, done.stderr
    assert not imported & set(not_needed)
