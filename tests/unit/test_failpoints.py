"""Points at which a process kills itself: off unless told, refused beyond tests, and never twice."""

import subprocess
import sys
from pathlib import Path

import pytest

from services.platform import failpoints
from services.platform.environment import BadSettings
from services.platform.settings import ServiceSettings, load

RUN = """
import sys
from pathlib import Path
from services.platform import failpoints
failpoints.arm(failpoints.FailAt(frozenset({"gateway.after-commit"}), Path(sys.argv[1])))
failpoints.reached("gateway.after-verify")
failpoints.reached("gateway.after-commit")
print("lived on")
"""


@pytest.fixture
def environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    for name, value in {"KAFKA": "127.0.0.1:9", "DATABASE": "postgresql://a:b@127.0.0.1/c", "HTTP_PORT": "0"}.items():
        monkeypatch.setenv(f"GATEPOST_{name}", value)
    monkeypatch.setenv("GATEPOST_KEYS", str(tmp_path))
    monkeypatch.setattr(failpoints, "_live", None)
    return monkeypatch


def came_by(folder: Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", RUN, str(folder)], capture_output=True, text=True, check=False)


def test_a_live_point_kills_the_process_once_and_the_next_one_lives_on(tmp_path):
    (tmp_path / "gateway.after-commit").touch()
    assert came_by(tmp_path).returncode == -9
    after = came_by(tmp_path)
    assert (after.returncode, after.stdout) == (0, "lived on\n")


def test_a_file_for_a_point_that_is_not_live_is_left_alone(tmp_path):
    (tmp_path / "gateway.after-verify").touch()
    assert came_by(tmp_path).returncode == 0
    assert (tmp_path / "gateway.after-verify").exists()


def test_it_stops_the_start_unless_it_is_allowed_by_name(environment, tmp_path):
    environment.setenv("GATEPOST_FAIL_AT", f"delivery.after-claim@{tmp_path}")
    with pytest.raises(BadSettings, match="GATEPOST_FAIL_AT"):
        load(ServiceSettings)
    assert failpoints._live is None
    environment.setenv("GATEPOST_ALLOW_INSECURE", "fail-at")
    assert load(ServiceSettings).fail_at == failpoints.FailAt(frozenset({"delivery.after-claim"}), tmp_path)
    assert failpoints._live is not None


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ("delivery.after-clam@/x", "delivery.after-clam"),
        ("gateway.after-commit,nowhere@/x", "nowhere"),
        ("gateway.after-commit", "absolute"),
        ("gateway.after-commit@relative", "absolute"),
    ],
)
def test_a_wrong_one_is_refused_with_its_name(environment, given, named):
    environment.setenv("GATEPOST_ALLOW_INSECURE", "fail-at")
    environment.setenv("GATEPOST_FAIL_AT", given)
    with pytest.raises(BadSettings, match=f"GATEPOST_FAIL_AT.*{named}"):
        load(ServiceSettings)


def test_every_point_is_reached_from_exactly_one_place_in_the_services():
    root = Path(failpoints.__file__).parent.parent
    code = "\n".join(path.read_text() for path in root.rglob("*.py") if path.name != "failpoints.py")
    assert {point: code.count(f'reached("{point}")') for point in failpoints.POINTS} == dict.fromkeys(
        failpoints.POINTS, 1
    )
