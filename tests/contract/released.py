"""The schemas of the versions that went out."""

from pathlib import Path


def newest(folder: Path) -> Path:
    """By version, not by text: 0.10.0 comes after 0.9.0."""
    return max(folder.iterdir(), key=lambda path: [int(part) for part in path.name.split(".")])
