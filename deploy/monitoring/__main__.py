"""`python -m deploy.monitoring [--check]`: the list of metrics and the dashboard, from the code that declares them."""

import sys
from pathlib import Path

from deploy.local.paths import ROOT
from deploy.monitoring import dashboard, page


def files() -> dict[Path, str]:
    """Every generated file with its content."""
    return {
        ROOT / "docs" / "metrics.md": page.written(),
        ROOT / "deploy" / "grafana" / "gatepost.json": dashboard.written(),
    }


def outdated() -> list[str]:
    """Names of the files that differ from what the code says."""
    return [
        str(path.relative_to(ROOT)) for path, text in files().items() if not path.exists() or path.read_text() != text
    ]


def main() -> None:
    if "--check" in sys.argv[1:]:
        changed = outdated()
        sys.stdout.write("".join(f"{name} is outdated; run python -m deploy.monitoring\n" for name in changed))
        sys.exit(bool(changed))
    for path, text in files().items():
        path.write_text(text)


if __name__ == "__main__":
    main()
