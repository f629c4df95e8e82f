"""What the environment says, one variable at a time; commands need no more of it."""

import os
from pathlib import Path
from typing import Final

PREFIX: Final = "GATEPOST_"


class BadSettings(Exception):
    """Settings that stop the start: one line each, by the variable's name."""


def secret_of(name: str) -> str:
    """`GATEPOST_<NAME>` or the content of `GATEPOST_<NAME>_FILE`; for commands that need nothing else."""
    if path := os.environ.get(f"{PREFIX}{name}_FILE"):
        return content_of(f"{PREFIX}{name}_FILE", path)
    if value := os.environ.get(f"{PREFIX}{name}"):
        return value
    raise BadSettings(f"{PREFIX}{name} (or {PREFIX}{name}_FILE): not set")


def content_of(variable: str, path: str) -> str:
    """What a file says that a variable names. Raises `BadSettings`."""
    try:
        return Path(path).read_text().strip()
    except OSError as bad:
        raise BadSettings(f"{variable}: {path}: {bad.strerror}") from None
    except UnicodeDecodeError:
        raise BadSettings(f"{variable}: {path}: not text") from None
