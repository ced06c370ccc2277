"""The base of the stand-in images: a Debian of its own, made once and kept beside the jars of `make setup`.

debootstrap makes it of the mirror that this machine's apt knows; compose comes from the same suite.
"""

import hashlib
import shutil
import tempfile
from pathlib import Path
from typing import Final

import pytest

from deploy.kafka_jars import KAFKA
from tests.debian import installed
from tests.deploy.containers.engine import run

SUITE: Final = "trixie"
"""Of Debian: the first with a compose that reads our file."""

PACKAGES: Final = "ca-certificates,python3,python3-pip,python3-venv,valkey-tools"

CERTIFICATES: Final = Path("/etc/ssl/certs/ca-certificates.crt")
"""Of this machine, put into the base: a CA of its own may stand between it and the package index."""

ROOT: Final = "base.tar"
COMPOSE: Final = "docker-compose"
"""What is kept: the root file system, and a plug-in of `docker`."""


def kept() -> Path:
    """The folder with `ROOT` and `COMPOSE`, made where it is not there yet."""
    recipe = Path(__file__).read_bytes() + CERTIFICATES.read_bytes()
    target = KAFKA.directory.parent / f"containers-{hashlib.sha256(recipe).hexdigest()[:16]}"
    if target.exists():
        return target
    if installed(("debootstrap",), "--no-install-recommends", "debootstrap") is None:
        pytest.fail("no debootstrap for the stand-in images, though Docker could be installed")
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="part-", dir=target.parent) as part:
        complete = Path(part) / "complete"
        complete.mkdir()
        _make_base(Path(part) / "root", complete)
        try:
            complete.rename(target)
        except OSError:
            if not target.exists():  # else another run was faster
                raise
    return target


def _make_base(root: Path, target: Path) -> None:
    """Make a Debian in `root`; what is kept of it goes to `target`."""
    # mounts of its own: debootstrap leaves some behind where it is killed
    run(
        [
            "unshare",
            "--mount",
            "debootstrap",
            "--variant=minbase",
            f"--include={PACKAGES}",
            SUITE,
            root,
            _mirror(),
        ]
    )
    shutil.copyfile(CERTIFICATES, root / CERTIFICATES.relative_to("/"))
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    for command in (
        ("apt-get", "update", "-qq"),
        (
            "sh",
            "-c",
            "cd /tmp && apt-get download -qq docker-compose && dpkg -x docker-compose_*.deb .",
        ),
    ):
        run(["chroot", root, *command])
    shutil.copy(root / "tmp/usr/libexec/docker/cli-plugins" / COMPOSE, target)
    for left in ("tmp", "var/lib/apt/lists", "var/cache/apt"):
        shutil.rmtree(root / left)
        (root / left).mkdir()
    (root / "tmp").chmod(0o1777)
    run(["tar", "--directory", root, "--create", "--file", target / ROOT, "."])


def _mirror() -> str:
    """The mirror of Debian that this machine's apt uses."""
    for attempt in range(2):
        if attempt:  # without lists apt does not know whose mirror is whose
            run(["apt-get", "update", "-qq"])
        listed = run(["apt-get", "indextargets", "--format", "$(LABEL) $(REPO_URI)", "Created-By: Packages"])
        for label, _, address in (line.partition(" ") for line in listed.splitlines()):
            if label == "Debian":
                return address
    pytest.fail("apt knows no mirror of Debian to make the stand-in images from")
