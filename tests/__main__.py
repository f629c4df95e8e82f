"""`make test`: the whole suite, in two halves side by side, each with a running system of its own.

Both halves mostly wait. The faults break the services under everybody, so they have theirs for themselves; each half
ends with a search through what it wrote.
"""

import subprocess
import sys
import tempfile
import time
from typing import IO, Final

from rich.console import Console

from deploy.local import servers

HALVES: Final = {
    "faults": ["--system=test-faults", "tests/faults", "tests/secrecy"],
    "everything else": ["--system=test", "--ignore=tests/faults", "tests"],
}


def main() -> int:
    begun = time.monotonic()
    servers.fetched()
    with tempfile.TemporaryFile("w+") as kept:
        out = Console(soft_wrap=True)
        out.print("two halves run side by side; what the half of the faults says follows at the end")
        halves = [_pytest("everything else"), _pytest("faults", kept)]
        ended = [_wait(half) for half in halves]
        kept.seek(0)
        out.print(f"\nthe half of the faults:\n{kept.read()}", markup=False, highlight=False)
    out.print(f"both halves together: {time.monotonic() - begun:.0f} s", highlight=False)
    return max(abs(code) for code in ended)


def _pytest(half: str, out: IO[str] | None = None) -> subprocess.Popen[str]:
    command = [sys.executable, "-m", "pytest", *HALVES[half]]
    return subprocess.Popen(command, stdout=out, stderr=subprocess.STDOUT if out else None, text=True)


def _wait(half: subprocess.Popen[str]) -> int:
    """An interrupt reaches the halves too, and each stops its system: that is waited for."""
    try:
        return half.wait()
    except KeyboardInterrupt:
        return half.wait()


if __name__ == "__main__":
    sys.exit(main())
