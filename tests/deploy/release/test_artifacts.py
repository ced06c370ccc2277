"""`make release` of this tree, without an engine: all is there, the sums hold, and a second time the same."""

import hashlib
import json
import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path
from typing import Final
from zipfile import ZipFile

import pytest

from deploy.release.artifacts import HELM, SUMS
from deploy.release.versions import version
from deploy.stack import CHECKOUT
from tests import golang
from tests.api.clients.built import npm
from tests.debian import skip_but_not_in_ci
from tests.deploy.containers.test_files import packages
from tests.deploy.release.test_readiness import commit
from tests.test_architecture import tree

pytestmark = pytest.mark.programs

VERSION: Final = version(CHECKOUT)
NO_ENGINE: Final = "unix:///nowhere/docker.sock"


@pytest.fixture(scope="module")
def repository(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """This tree as it stands, committed."""
    folder = tmp_path_factory.mktemp("repository")
    for path in tree():
        copy = folder / path.relative_to(CHECKOUT)
        copy.parent.mkdir(parents=True, exist_ok=True)
        copy.write_bytes(path.read_bytes())
    commit(folder, init=True)
    return folder


def release(repository: Path) -> "subprocess.CompletedProcess[str]":
    """Run what `make release` runs."""
    try:
        helm = golang.installed(HELM)
    except golang.NoProgramError as why:
        skip_but_not_in_ci(f"no helm: {why}")
    path = os.pathsep.join([str(helm.parent), str(Path(npm()).parent), os.environ["PATH"]])
    return subprocess.run(
        [sys.executable, "-m", "deploy.release"],
        cwd=repository,
        env={**os.environ, "PATH": path, "DOCKER_HOST": NO_ENGINE},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture(scope="module")
def built(repository: Path) -> Path:
    """The folder of the release."""
    done = release(repository)
    assert done.returncode == 0, done.stderr
    assert "NO IMAGE: no container engine answers here" in done.stderr
    return repository / "dist" / f"ses-metrics-{VERSION}"


def sums(folder: Path) -> dict[str, str]:
    """What the file of the sums says of each file."""
    lines = [line.split("  ") for line in (folder / SUMS).read_text().splitlines()]
    return {name: digest for digest, name in lines}


def test_all_is_there_and_its_sums_hold(built: Path) -> None:
    files = {path.name: path for path in built.iterdir() if path.name != SUMS}
    assert set(files) == {
        f"ses_metrics-{VERSION}-py3-none-any.whl",
        f"ses_metrics-{VERSION}.tar.gz",
        f"kraiter-{VERSION}-py3-none-any.whl",
        f"kraiter-{VERSION}.tar.gz",
        f"kraiter-{VERSION}.tgz",
        f"ses-metrics-{VERSION}.tgz",
        f"ses-metrics-{VERSION}.cdx.json",
    }
    assert sums(built) == {
        name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in files.items()
    }
    subprocess.run(["sha256sum", "--check", "--strict", "--quiet", SUMS], cwd=built, check=True)


def test_each_part_is_of_this_tree(built: Path) -> None:
    with ZipFile(built / f"ses_metrics-{VERSION}-py3-none-any.whl") as wheel:
        assert wheel.read("api/app.py") == (CHECKOUT / "api" / "app.py").read_bytes()
    for name, inside, path in (
        (f"ses_metrics-{VERSION}.tar.gz", f"ses_metrics-{VERSION}/Makefile", "Makefile"),
        (f"kraiter-{VERSION}.tar.gz", f"kraiter-{VERSION}/README.md", "api/clients/python/README.md"),
        (f"kraiter-{VERSION}.tgz", "package/src/index.js", "api/clients/typescript/src/index.js"),
        (f"ses-metrics-{VERSION}.tgz", "ses-metrics/values.yaml", "deploy/helm/ses-metrics/values.yaml"),
    ):
        with tarfile.open(built / name) as archive:
            file = archive.extractfile(inside)
            assert file is not None
            assert file.read() == (CHECKOUT / path).read_bytes(), name


def test_the_bill_names_every_pinned_requirement_with_all_its_hashes(built: Path) -> None:
    bill = json.loads((built / f"ses-metrics-{VERSION}.cdx.json").read_text())
    assert (bill["bomFormat"], bill["metadata"]["component"]["version"]) == ("CycloneDX", VERSION)
    requirements = CHECKOUT / "deploy" / "requirements-runtime.txt"
    assert {each["name"]: each["version"] for each in bill["components"]} == packages(requirements)
    hashes = [
        each["content"]
        for component in bill["components"]
        for reference in component["externalReferences"]
        for each in reference["hashes"]
    ]
    assert sorted(hashes) == sorted(re.findall(r"--hash=sha256:(\w+)", requirements.read_text()))


def test_the_same_commit_gives_the_same_bytes_and_another_tree_none(repository: Path, built: Path) -> None:
    before = sums(built)
    assert release(repository).returncode == 0
    assert sums(built) == before
    (repository / "unknown").touch()
    done = release(repository)
    assert done.returncode == 1
    assert "files differ from the last commit: unknown" in done.stderr
    (repository / "unknown").unlink()
