"""Sizes: the median function at most 10 lines, none over 40; a file over 300 lines says why in its docstring."""

import ast
import statistics
import sys
from pathlib import Path

ROOT = Path(__file__).parent.parent
FOLDERS = ("schemas", "services", "deploy", "clients/python/gatepost_client", "clients/python/tests", "examples")


def functions(path: Path) -> list[tuple[str, int]]:
    """Every function with its lines of code, docstring left out."""
    found = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            first = node.body[0]
            start = first.end_lineno if ast.get_docstring(node) and first.end_lineno else node.lineno - 1
            found.append((f"{path.relative_to(ROOT)}:{node.lineno} {node.name}", (node.end_lineno or start) - start))
    return found


def main() -> None:
    files = [path for folder in FOLDERS for path in sorted((ROOT / folder).rglob("*.py"))]
    sizes = [size for path in files for size in functions(path)]
    median = statistics.median(size for _, size in sizes)
    faults = [f"{where}: {size} lines" for where, size in sizes if size > 40]
    for path in files:
        text = path.read_text()
        if len(text.splitlines()) > 300 and "lines long because" not in text:
            faults.append(f"{path.relative_to(ROOT)}: {len(text.splitlines())} lines and no reason given")
    if median > 10:
        faults.append(f"the median function has {median} lines")
    sys.stdout.write("\n".join([*faults, f"{len(sizes)} functions, median {median:g} lines"]) + "\n")
    sys.exit(bool(faults))


if __name__ == "__main__":
    main()
