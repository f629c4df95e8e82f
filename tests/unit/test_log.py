"""The log holds no error's text, whichever way the error gets there: it can quote what it choked on."""

import json
import subprocess
import sys
from typing import Any

import pytest

from deploy.local.paths import ROOT

SECRET = "cy-what-it-choked-on"
START = f"""
import asyncio, gc, logging, threading
from services.platform import log

log.configure("test")

def fail(*_):
    raise ValueError("{SECRET}")

async def failing():
    fail()
"""
CAUGHT_BY_NOBODY = "fail()"
IN_A_THREAD = "thread = threading.Thread(target=fail)\nthread.start()\nthread.join()"
IN_A_TASK = """
async def main():
    asyncio.create_task(failing())
    await asyncio.sleep(0.01)
    gc.collect()

asyncio.run(main())
"""
IN_A_CALLBACK = f"""
async def main():
    asyncio.get_running_loop().call_soon(fail, "{SECRET}")
    await asyncio.sleep(0.01)

asyncio.run(main())
"""
LOGGED_BY_A_LIBRARY = """
try:
    fail()
except ValueError:
    logging.getLogger("library").exception("it failed")
"""


def lines(code: str) -> list[dict[str, Any]]:
    done = subprocess.run([sys.executable, "-c", START + code], capture_output=True, text=True, cwd=ROOT, check=False)
    assert SECRET not in done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.mark.parametrize("code", [CAUGHT_BY_NOBODY, IN_A_THREAD, IN_A_TASK, IN_A_CALLBACK, LOGGED_BY_A_LIBRARY])
def test_an_error_is_one_line_with_its_class_and_place_and_without_its_text(code):
    (line,) = lines(code)
    assert line["error"] == "ValueError"
    assert line["at"].endswith(" fail")


def test_a_crash_by_the_machine_says_what_the_machine_said():
    (line,) = lines("open('/none/there')")
    assert (line["event"], line["error"], line["problem"]) == (
        "crashed",
        "FileNotFoundError",
        "No such file or directory",
    )


ONE_WRITE = """
import json, sys, structlog
from services.platform import log

class Out:
    written = []
    write = written.append

    def flush(self):
        pass

sys.stdout = Out()
log.configure("test", worker=3)
structlog.get_logger().info("said")
json.dump(Out.written, sys.__stdout__)
"""


def test_a_line_is_one_write_so_that_processes_may_share_an_output() -> None:
    done = subprocess.run([sys.executable, "-c", ONE_WRITE], cwd=ROOT, check=True, capture_output=True, text=True)
    (line,) = json.loads(done.stdout)
    assert line.endswith("\n")
    assert json.loads(line)["worker"] == 3
