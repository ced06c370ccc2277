"""What others wrote and the page loads is what they published: by recorded sums, and by npm's own word."""

import base64
import hashlib
import re
import tarfile
from pathlib import Path

import pytest

from deploy.stack import CHECKOUT
from tests import npm

VENDORED = CHECKOUT / "api" / "vendor"
SUMS = {
    name: digest
    for digest, name in (line.split() for line in (VENDORED / "SHA256SUMS").read_text().splitlines())
}
"""The recorded SHA-256 of each file, in hex."""

ROW = re.compile(r"^\| `([\w-]+)/` \| .* \| `([\w-]+)@([\d.]+)` \| `(sha512-[\w+/=]+)` \|", re.MULTILINE)
PACKAGES = {folder: rest for folder, *rest in ROW.findall((VENDORED / "README.md").read_text())}
"""Of each folder: the package, its version and its integrity."""


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def test_every_vendored_file_is_the_recorded_one() -> None:
    files = [path for path in VENDORED.rglob("*") if path.is_file() and path.parent != VENDORED]
    assert files
    assert {str(path.relative_to(VENDORED)): sha256(path.read_bytes()) for path in files} == SUMS


def test_every_folder_says_what_it_is_of() -> None:
    assert set(PACKAGES) == {path.name for path in VENDORED.iterdir() if path.is_dir()}
    assert set(PACKAGES) == {name.partition("/")[0] for name in SUMS}


@pytest.mark.programs
@pytest.mark.parametrize("folder", PACKAGES)
def test_the_recorded_sums_are_those_of_the_published_package(folder: str, tmp_path: Path) -> None:
    name, version, integrity = PACKAGES[folder]
    path = npm.tarball(name, version, tmp_path)
    digest = hashlib.sha512(path.read_bytes()).digest()
    assert f"sha512-{base64.b64encode(digest).decode()}" == integrity
    with tarfile.open(path) as archive:
        published = {
            (Path(member.name).name, sha256(content.read()))
            for member in archive
            if (content := archive.extractfile(member)) is not None
        }
    ours = {(Path(file).name, digest) for file, digest in SUMS.items() if file.startswith(f"{folder}/")}
    assert ours - published == set()
