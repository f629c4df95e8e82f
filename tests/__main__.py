"""`make test`: the whole suite, in four parts side by side, each with a running system of its own.

All of them mostly wait. The faults break the services under everybody, so they have theirs for themselves; each part
ends with a search through what it wrote.
"""

import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from typing import IO, Final

from rich.console import Console

from deploy.local import servers

DELIVERY: Final = ("tests/integration/delivery", "tests/integration/adapters", "tests/races/test_replay_and_resend.py")
PARTS: Final = {
    "everything else": [
        "--system=test",
        "--ignore=tests/faults",
        "--ignore=tests/api",
        *(f"--ignore={path}" for path in DELIVERY),
        "tests",
    ],
    "faults": ["--system=test-faults", "tests/faults", "tests/secrecy"],
    "described calls": ["--system=test-api", "tests/api"],
    "delivery": ["--system=test-delivery", *DELIVERY, "tests/secrecy"],
}


def main() -> int:
    begun, out = time.monotonic(), Console(soft_wrap=True)
    servers.fetched()
    out.print(f"{len(PARTS)} parts run side by side; what the others say follows when the first has ended")
    with ExitStack() as open_files:
        kept = {name: open_files.enter_context(tempfile.TemporaryFile("w+")) for name in list(PARTS)[1:]}
        parts = [_pytest(name, kept.get(name)) for name in PARTS]
        ended = [_wait(part) for part in parts]
        for name, said in kept.items():
            said.seek(0)
            out.print(f"\n{name}:\n{said.read()}", markup=False, highlight=False)
    out.print(f"all parts together: {time.monotonic() - begun:.0f} s", highlight=False)
    return max(abs(code) for code in ended)


def _pytest(part: str, out: IO[str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", *PARTS[part]]
    return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT if out else None, text=True)


def _wait(part: subprocess.Popen[str]) -> int:
    """An interrupt reaches the parts too, and each stops its system: that is waited for."""
    try:
        return part.wait()
    except KeyboardInterrupt:
        return part.wait()


if __name__ == "__main__":
    sys.exit(main())
