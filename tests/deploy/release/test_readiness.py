"""A release is refused where it would not be what the last commit says."""

import subprocess
from pathlib import Path

import pytest

from deploy.release.readiness import (
    CHANGELOG,
    NoReleaseError,
    committed_at,
    export,
    has_entry,
    refusals,
)
from deploy.release.versions import REPEATED, SAID, version
from deploy.stack import CHECKOUT

pytestmark = pytest.mark.programs

WHEN = 1_700_000_000


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A checkout that may be released: what is looked at of this one, committed."""
    for name in {place.path for place in (SAID, *REPEATED)}:
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text((CHECKOUT / name).read_text())
    (tmp_path / CHANGELOG).write_text(f"# Changelog\n\n## {version(tmp_path)} - 2026-11-27\n\n- All new.\n")
    commit(tmp_path, init=True)
    return tmp_path


def commit(folder: Path, *, init: bool = False) -> None:
    """Commit all that is in a folder."""
    who = ("-c", "user.name=test", "-c", "user.email=test@example.com", "-c", "commit.gpgsign=false")
    for command in (["init", "--quiet"] if init else [], ["add", "."], ["commit", "--quiet", "-m", "All"]):
        if command:
            subprocess.run(
                ["git", *who, *command],
                cwd=folder,
                env={"PATH": "/usr/local/bin:/usr/bin:/bin", "GIT_COMMITTER_DATE": f"{WHEN} +0000"},
                check=True,
            )


def test_a_clean_checkout_is_released_as_it_was_committed(repository: Path, tmp_path: Path) -> None:
    assert refusals(repository) == []
    assert committed_at(repository) == WHEN
    (repository / "unknown").touch()
    export(repository, tmp_path / "copy")
    copied = {path.relative_to(tmp_path / "copy") for path in (tmp_path / "copy").rglob("*")}
    assert Path(CHANGELOG) in copied
    assert Path("unknown") not in copied


def test_what_was_not_committed_is_named(repository: Path) -> None:
    with (repository / "pyproject.toml").open("a") as file:
        file.write("# more\n")
    (repository / "unknown").touch()
    [said] = refusals(repository)
    assert "pyproject.toml, unknown" in said


def test_another_version_and_a_changelog_without_it_are_named(repository: Path) -> None:
    said = repository / "pyproject.toml"
    said.write_text(said.read_text().replace(version(repository), "9.9.9", 1))
    commit(repository)
    elsewhere, changelog = refusals(repository)
    assert "deploy/compose.yaml" in elsewhere
    assert "no entry of 9.9.9" in changelog


@pytest.mark.parametrize(
    ("text", "holds"),
    [
        ("## 1.2.3 - 2026-11-27\n\nAll new.\n", True),
        ("## 1.2.3 - 2026-11-27\n", False),
        ("## 1.2.3 - 2026-11-27\n\n## 1.2.2 - 2026-11-01\n\n- Old.\n", False),
        ("## 1.2.3\n\n- Nobody knows when.\n", False),
        ("## 11.2.3 - 2026-11-27\n\n- Another one.\n", False),
        ("## 1x2x3 - 2026-11-27\n\n- Another one.\n", False),
        ("## Unreleased\n\n- 1.2.3 - 2026-11-27\n", False),
    ],
)
def test_an_entry_has_a_date_and_says_something(text: str, holds: bool) -> None:
    assert has_entry(f"# Changelog\n\n{text}", "1.2.3") is holds


def test_a_folder_without_git_is_refused(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('version = "1.2.3"\n')
    with pytest.raises(NoReleaseError, match="git status"):
        refusals(tmp_path)
