"""Programs of Debian's that tests need: installed when root and missing; never skipped in CI."""

import os
import shutil
import subprocess

import pytest


def program(name: str, package: str) -> str:
    """Where it is. Skips where it is missing and not ours to install; under `CI=true` that is a failure."""
    if found := shutil.which(name):
        return found
    line = f"apt-get install -y --no-install-recommends {package}"
    if os.geteuid() == 0:
        quiet = os.environ | {"DEBIAN_FRONTEND": "noninteractive"}
        for command in ("apt-get update -qq", line):
            subprocess.run(command.split(), check=True, env=quiet, capture_output=True, timeout=600)
    found = shutil.which(name)
    if found is None and os.environ.get("CI") != "true":
        pytest.skip(f"{name} is missing: {line}")
    assert found is not None, f"{name} is missing: {line}"
    return found
