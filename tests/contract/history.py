"""What git remembers of the examples, and what a clone without its history cannot say."""

import os
import subprocess
from pathlib import Path


class Unknowable(Exception):
    """This checkout cannot tell what was ever committed; the text says what is missing and how to get it."""


def rewritten(root: Path, folder: str) -> list[str]:
    """Files of that folder that a commit changed or removed. Raises `Unknowable` where history is missing."""
    _must_be_whole(root)
    return _git(root, "log", "--no-renames", "--diff-filter=MD", "--name-only", "--format=", "--", folder).split()


def must_be_known() -> bool:
    return os.environ.get("CI") == "true"


def _must_be_whole(root: Path) -> None:
    if _git(root, "rev-parse", "--show-toplevel").strip() != str(root.resolve()):
        raise Unknowable("this is no git checkout, so nothing says which examples were ever committed: git clone it")
    if _git(root, "rev-parse", "--is-shallow-repository").strip() == "true":
        raise Unknowable("a shallow clone does not know every example ever committed: git fetch --unshallow")


def _git(root: Path, *arguments: str) -> str:
    """What git says, or nothing where there is no git or no repository."""
    try:
        done = subprocess.run(["git", *arguments], cwd=root, capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return done.stdout if done.returncode == 0 else ""
