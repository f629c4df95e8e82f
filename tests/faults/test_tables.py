"""What the README says is what there is."""

from pathlib import Path

from tests.faults.checker import RULES
from tests.faults.mutants import MUTANTS

README = (Path(__file__).parent / "README.md").read_text()


def test_every_rule_has_its_mutant_and_the_list_of_them_is_true() -> None:
    told = {(m.rule, f"| `{m.rule}` | `{m.name}` | {m.service} | {m.says} |") for m in MUTANTS}
    assert {rule for rule, _ in told} == set(RULES)
    lines = [line for line in README.splitlines() if line.startswith("| `") and not line.startswith("| `load.py")]
    assert {line for _, line in told} == {line for line in lines if line.split("`")[1] in RULES}
