"""`make test`: the whole suite, in five parts side by side. Four have a running system each, one needs none.

All of them mostly wait; more systems would spend the two cores on brokers that idle. The faults break the services
under everybody, so they have theirs for themselves, after what people do with commands; described calls are made at
random, so they come last in theirs. The part with the faults ends with a search for secrets through all that was
written.
"""

import codecs
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Final, TextIO

from rich.console import Console

from deploy.local import servers

DELIVERY: Final = (
    "tests/integration/delivery",
    "tests/e2e/test_recovery.py",
    "tests/races/test_replay_and_resend.py",
)
PAGES: Final = ("tests/contract", "tests/integration/gateway_login", "tests/browser", "tests/api")
FAULTS: Final = (
    *(f"tests/e2e/test_{name}.py" for name in ("commands", "guard", "seeing", "wordings")),
    "tests/faults",
    "tests/secrecy",
)
NO_SYSTEM: Final = (
    "tests/integration/topics",
    "tests/integration/adapters",
    "tests/integration/test_local_stack.py",
    "tests/unit",
    "tests/monitoring",
    "clients/python/tests",
)
OTHERS: Final = (*FAULTS, *PAGES, *DELIVERY, *NO_SYSTEM)
PARTS: Final = {
    "everything else": ["--system=test", *(f"--ignore={path}" for path in OTHERS), "tests"],
    "faults": ["--system=test-faults", *FAULTS],
    "pages and calls": ["--system=test-pages", *PAGES],
    "delivery": ["--system=test-delivery", *DELIVERY],
    "no system": ["--system=test-none", *NO_SYSTEM],
}
QUICK_STARTS: Final = {"JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1"}
"""A broker that lives for minutes is compiled once, not twice."""


def main() -> int:
    begun, out = time.monotonic(), Console(soft_wrap=True)
    servers.fetched()
    out.print(f"{len(PARTS)} parts run side by side; what the others say follows when the first has ended")
    shown, *_ = PARTS
    with ThreadPoolExecutor(len(PARTS)) as pool:
        parts = [Part(name, sys.stdout if name == shown else None) for name in PARTS]
        for listening in [pool.submit(part.listen) for part in parts]:
            _patiently(listening.result)
    for part in parts[1:]:
        out.print(f"\n{part.name}:\n{part.said}", markup=False, highlight=False)
    out.print(f"all parts together: {time.monotonic() - begun:.0f} s", highlight=False)
    for part in parts:
        out.print(part.verdict(), markup=False, highlight=False)
    return 0 if all(part.code == 0 for part in parts) else 1


class Part:
    """One pytest, and what it says: all of it is kept, and copied while it comes to `shown`."""

    def __init__(self, name: str, shown: TextIO | None) -> None:
        self.name, self.said, self._shown = name, "", shown
        self.code, self.processor = 0, 0.0
        command = [sys.executable, "-m", "pytest", *PARTS[name]]
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=QUICK_STARTS | os.environ
        )

    def listen(self) -> None:
        """Returns when it has ended."""
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        while self.process.stdout and (some := os.read(self.process.stdout.fileno(), 65536)):
            said = decoder.decode(some)
            self.said += said
            if self._shown is not None:
                self._shown.write(said)
                self._shown.flush()
        _, status, used = os.wait4(self.process.pid, 0)
        self.code, self.processor = os.waitstatus_to_exitcode(status), used.ru_utime + used.ru_stime

    def verdict(self) -> str:
        """The last lines of a run name what failed, in whichever part: a log is often read from its end."""
        failed = [line for line in self.said.splitlines() if line.startswith("FAILED ")]
        ended = f"stopped by {signal.Signals(-self.code).name}" if self.code < 0 else f"ended with {self.code}"
        took = f"{self.processor:.0f} s of processor, its system's included"
        return "\n".join([f"{self.name}: {ended}; {took}", *(f"  {line}" for line in failed)])


def _patiently(wait: Callable[[], None]) -> None:
    """An interrupt reaches the parts too, and each stops its system: that is waited for."""
    try:
        wait()
    except KeyboardInterrupt:
        wait()


if __name__ == "__main__":
    sys.exit(main())
