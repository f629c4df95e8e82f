"""Every problem that the code can answer with stands in docs/problems.md."""

import re
from pathlib import Path

ROOT = Path(__file__).parent.parent.parent
NAMED = re.compile(r'(?:Problem\(\s*\d{3},|too_many\(|unavailable\(|refused\()\s*"([a-z-]+)"')


def test_every_problem_is_explained():
    code = "\n".join(path.read_text() for path in (ROOT / "services").rglob("*.py"))
    documented = set(re.findall(r"`([a-z-]+)`", (ROOT / "docs" / "problems.md").read_text()))
    names = set(NAMED.findall(code))
    assert len(names) > 30
    assert names <= documented, names - documented
