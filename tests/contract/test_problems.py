"""docs/problems.md and the code name the same problems, with the same status.

The code is read, not run: a call of `Problem`, or of a function that hands its own argument on to one, names a problem.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parent.parent.parent
ROW = re.compile(r"^\| (`[a-z-]+`(?:, `[a-z-]+`)*) \| (\d{3}) \|", re.M)
Function = ast.FunctionDef | ast.AsyncFunctionDef


class Maker(NamedTuple):
    """A callable whose argument at `place` becomes a problem's name by `form`; a private one only in its `file`."""

    name: str
    place: int
    form: str
    status: int | None
    file: Path | None


class Named(NamedTuple):
    name: str
    status: int


class Call(NamedTuple):
    file: Path
    inside: Function | None
    node: ast.Call

    @property
    def to(self) -> str:
        function = self.node.func
        return function.id if isinstance(function, ast.Name) else getattr(function, "attr", "")


def calls() -> list[Call]:
    return [call for file in sorted((ROOT / "services").rglob("*.py")) for call in _within(file, None, parsed(file))]


def parsed(file: Path) -> ast.Module:
    return ast.parse(file.read_text())


def _within(file: Path, inside: Function | None, node: ast.AST) -> Iterator[Call]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call):
            yield Call(file, inside, child)
        yield from _within(file, child if isinstance(child, Function) else inside, child)


def found_in_code() -> set[Named]:
    everywhere, makers = calls(), [Maker("Problem", 1, "{}", None, None)]
    names: set[Named] = set()
    for maker in makers:  # grows while it is read
        for call in everywhere:
            if call.to == maker.name and maker.file in (None, call.file):
                made = _read(call, maker)
                if isinstance(made, Named):
                    names.add(made)
                elif made not in makers:
                    makers.append(made)
    return names


def _read(call: Call, maker: Maker) -> Named | Maker:
    status = maker.status or ast.literal_eval(call.node.args[0])
    given = call.node.args[maker.place] if len(call.node.args) > maker.place else None
    match given:
        case None:
            return Named(_default(call.to), status)
        case ast.Constant(value=str(text)):
            return Named(maker.form.format(text.replace("_", "-")), status)
        case _:
            form, argument = _form(given)
            assert call.inside is not None, where(call)
            place = [each.arg for each in call.inside.args.args].index(argument)
            private = call.file if call.inside.name.startswith("_") else None
            return Maker(call.inside.name, place, maker.form.format(form), status, private)


def where(call: Call) -> str:
    return f"{call.file.relative_to(ROOT)}:{call.node.lineno}: the problem's name cannot be read"


def _form(given: ast.expr) -> tuple[str, str]:
    """`name` gives `{}` of name; `f"bad-{field}"` gives `bad-{}` of field."""
    if isinstance(given, ast.JoinedStr):
        texts = [part.value if isinstance(part, ast.Constant) else "{}" for part in given.values]
        return "".join(map(str, texts)), next(n.id for n in ast.walk(given) if isinstance(n, ast.Name))
    assert isinstance(given, ast.Name), ast.unparse(given)
    return "{}", given.id


def _default(function: str) -> str:
    """What the function calls its problem when it is not told."""
    for node in ast.walk(parsed(ROOT / "services/platform/http.py")):
        if isinstance(node, Function) and node.name == function:
            return str(ast.literal_eval(node.args.defaults[0]))
    raise AssertionError(f"{function} names no problem")


def found_in_document() -> set[Named]:
    rows = ROW.findall((ROOT / "docs" / "problems.md").read_text())
    return {Named(name, int(status)) for names, status in rows for name in re.findall(r"`([a-z-]+)`", names)}


def test_the_code_and_the_document_name_the_same_problems():
    code, document = found_in_code(), found_in_document()
    assert len(code) > 40
    assert sorted(code - document) == []
    assert sorted(document - code) == []


def test_every_row_of_the_document_says_what_to_do():
    rows = [line for line in (ROOT / "docs" / "problems.md").read_text().splitlines() if line.startswith("| `")]
    assert len(rows) == len(ROW.findall("\n".join(rows)))
    assert all(len(row.strip("| ").split(" | ")) == 4 for row in rows)
