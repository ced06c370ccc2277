"""What is fetched is what was listed, and who can't install is told why."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest

from deploy import install
from deploy.kafka_jars import KAFKA
from deploy.processes import StackError
from deploy.stack import CHECKOUT


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


@pytest.mark.programs
def test_a_uv_that_is_not_the_listed_one_is_refused(tmp_path: Path) -> None:
    """Of the listed version and name, but of other content: make installs nothing."""
    for name in ("Makefile", "deploy/requirements-uv.txt"):
        copy = tmp_path / name
        copy.parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, copy)
    version = re.match(r"uv==(\S+)", (CHECKOUT / "deploy/requirements-uv.txt").read_text())
    assert version
    about = f"uv-{version[1]}"
    with ZipFile(tmp_path / f"{about}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{about}.data/scripts/uv", "#!/bin/sh\necho altered\n")
        wheel.writestr(
            f"{about}.dist-info/METADATA", f"Metadata-Version: 2.1\nName: uv\nVersion: {version[1]}\n"
        )
        wheel.writestr(
            f"{about}.dist-info/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{about}.dist-info/RECORD", "")
    done = subprocess.run(
        ["make", f"PYTHON={sys.executable}", ".local/uv/bin/uv"],
        cwd=tmp_path,
        env={**os.environ, "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert "DO NOT MATCH THE HASHES" in done.stderr
    assert not (tmp_path / ".local/uv/bin/uv").exists()
