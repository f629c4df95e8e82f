"""Examples are append-only, and a clone that cannot know says so."""

import subprocess
from pathlib import Path

import pytest

from schemas import generate
from tests.contract import released
from tests.contract.history import Unknowable, must_be_known, rewritten

ROOT = Path(generate.__file__).parent.parent


def test_an_example_that_was_ever_committed_is_never_changed_or_removed():
    """A change or deletion is a broken promise to somebody's consumer."""
    try:
        found = rewritten(ROOT, "schemas/examples")
    except Unknowable as unknowable:
        (pytest.fail if must_be_known() else pytest.skip)(str(unknowable))
    assert found == []


def git(root: Path, *arguments: str) -> None:
    who = ("-c", "user.name=a", "-c", "user.email=a@example.com", "-c", "protocol.file.allow=always")
    subprocess.run(["git", *who, *arguments], cwd=root, capture_output=True, check=True)


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """Two commits, each with one example."""
    root = tmp_path / "repository"
    root.mkdir()
    git(root, "init", "-q")
    for name in ("v1-1.json", "v1-2.json"):
        (root / "examples").mkdir(exist_ok=True)
        (root / "examples" / name).write_text("{}")
        git(root, "add", ".")
        git(root, "commit", "-q", "-m", name)
    return root


def test_examples_may_be_added(repository: Path):
    assert rewritten(repository, "examples") == []


@pytest.mark.parametrize("how", ["changed", "removed", "renamed"])
def test_an_example_that_is_rewritten_is_found(repository: Path, how: str):
    example = repository / "examples" / "v1-1.json"
    match how:
        case "changed":
            example.write_text('{"another": 1}')
        case "removed":
            example.unlink()
        case _:
            example.rename(example.with_name("v1-3.json"))
    git(repository, "add", "-A")
    git(repository, "commit", "-q", "-m", how)
    assert rewritten(repository, "examples") == ["examples/v1-1.json"]


def test_a_shallow_clone_names_the_command_that_mends_it(repository: Path, tmp_path: Path):
    git(tmp_path, "clone", "-q", "--depth", "1", f"file://{repository}", "shallow")
    with pytest.raises(Unknowable, match="git fetch --unshallow"):
        rewritten(tmp_path / "shallow", "examples")


def test_an_unpacked_archive_inside_another_repository_is_not_taken_for_a_clone(repository: Path):
    unpacked = repository / "unpacked"
    unpacked.mkdir()
    with pytest.raises(Unknowable, match="no git checkout"):
        rewritten(unpacked, "examples")


def test_a_folder_without_git_is_not_taken_for_a_clone(tmp_path: Path):
    with pytest.raises(Unknowable, match="no git checkout"):
        rewritten(tmp_path, "examples")


def test_the_newest_release_is_found_by_version_and_not_by_text(tmp_path: Path):
    for name in ("0.9.0", "0.10.0", "0.2.11"):
        (tmp_path / name).mkdir()
    assert released.newest(tmp_path).name == "0.10.0"
