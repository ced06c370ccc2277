"""What is fetched is what was listed, and who can't install is told why."""

import shutil
import sys
from pathlib import Path

import pytest

from deploy import install
from deploy.kafka_jars import KAFKA
from deploy.processes import StackError


@pytest.mark.programs
def test_the_cached_jars_are_the_listed_ones() -> None:
    KAFKA.fetch()
    jars = list(KAFKA.directory.iterdir())
    assert len(jars) == 46
    KAFKA.check(jars)


@pytest.mark.programs
def test_a_damaged_jar_is_named_and_leaves_the_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    KAFKA.fetch()
    copies = tmp_path / "repository" / "some" / "group"
    shutil.copytree(KAFKA.directory, copies)
    monkeypatch.setenv("M2_REPO", str(tmp_path / "repository"))
    damaged = next(copies.glob("kafka-clients-*.jar"))
    damaged.write_bytes(damaged.read_bytes()[:-1])
    with pytest.raises(StackError, match=damaged.name):
        KAFKA.check(list(copies.iterdir()))
    assert not damaged.exists()
    assert len(list(copies.iterdir())) == 45


def test_an_old_python_is_reported_what_to_do(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 10, 4))
    assert install.main() == 1
    assert "Python 3.11 or newer is needed" in capsys.readouterr().out
