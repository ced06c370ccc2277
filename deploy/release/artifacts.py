"""What a release consists of, each part built of a folder with the sources by the tool that users know.

The same sources and the same time give the same bytes, but for the image: that depends on what is behind the
names of its base image at the time.
"""

import gzip
import hashlib
import os
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Final

from deploy.release.readiness import NoReleaseError
from deploy.release.versions import version

SUMS: Final = "SHA256SUMS"
HELM: Final = "helm.sh/helm/v3/cmd/helm@v3.22.0"
"""Run by Go where there is no helm on the PATH."""


class NoEngineError(Exception):
    """No container engine answers here; the text is what it says."""


class Builder:
    """Builds into a folder. Each part raises NoReleaseError where its tool fails or is not here."""

    def __init__(self, sources: Path, folder: Path, made_at: int) -> None:
        """sources: a clean copy. folder: is there. made_at: the time of all that is built, s since 1970."""
        self._sources = sources
        self._folder = folder
        self._made_at = made_at
        # Compose wants the topics of SNS even where it only builds; none of them gets into the image.
        self._environment = {"SNS_TOPIC_ARNS": "none", **os.environ, "SOURCE_DATE_EPOCH": str(made_at)}

    @property
    def parts(self) -> Mapping[str, Callable[[], None]]:
        """All that needs no container engine, by what it is called."""
        return {
            "wheel and sdist": self.python,
            "client for Python": self.python_client,
            "client for JavaScript": self.javascript_client,
            "Helm chart": self.chart,
            "bill of materials": self.bill_of_materials,
        }

    def python(self) -> None:
        """`ses_metrics-VERSION-py3-none-any.whl` and `ses_metrics-VERSION.tar.gz`."""
        self._hatchling(self._sources)

    def python_client(self) -> None:
        """`kraiter-VERSION-py3-none-any.whl` and `kraiter-VERSION.tar.gz`."""
        self._hatchling(self._sources / "api" / "clients" / "python")

    def javascript_client(self) -> None:
        """`kraiter-VERSION.tgz`, as `npm install` takes it."""
        client = self._sources / "api" / "clients" / "typescript"
        self._run(["npm", "pack", "--silent", "--pack-destination", str(self._folder)], client)

    def chart(self) -> None:
        """`ses-metrics-VERSION.tgz`, as `helm install` takes it."""
        helm = ["helm"] if shutil.which("helm") else ["go", "run", HELM]
        chart = self._sources / "deploy" / "helm" / "ses-metrics"
        self._run([*helm, "package", str(chart), "--destination", str(self._folder)], self._sources)
        self._give_one_time(self._folder / f"ses-metrics-{version(self._sources)}.tgz")

    def bill_of_materials(self) -> None:
        """`ses-metrics-VERSION.cdx.json`: what the image installs beside our code, pinned and with hashes.

        In CycloneDX. The client for JavaScript has no dependency, and that for Python pins none.
        """
        name = f"ses-metrics-{version(self._sources)}.cdx.json"
        self._run(
            [
                *(sys.executable, "-m", "cyclonedx_py", "requirements", "deploy/requirements-runtime.txt"),
                *("--pyproject", "pyproject.toml", "--mc-type", "application", "--output-reproducible"),
                *("--output-format", "JSON", "--output-file", str(self._folder / name)),
            ],
            self._sources,
        )

    def image(self) -> None:
        """`ses-metrics-VERSION-image.tar`, as `docker load` takes it; the engine keeps the image too.

        Raises: NoEngineError.
        """
        try:
            self._run(["docker", "version"], self._sources)
        except NoReleaseError as error:
            raise NoEngineError(str(error)) from error
        name = f"ses-metrics:{version(self._sources)}"
        self._run(["docker", "compose", "build", "--quiet", "topics"], self._sources / "deploy")
        file = self._folder / f"ses-metrics-{version(self._sources)}-image.tar"
        self._run(["docker", "save", "--output", str(file), name], self._sources)

    def sums(self) -> Path:
        """`SHA256SUMS` over all that is in the folder, as `sha256sum --check` reads it."""
        path = self._folder / SUMS
        files = sorted(each for each in self._folder.iterdir() if each != path)
        lines = [f"{_sha256(each)}  {each.name}\n" for each in files]
        path.write_text("".join(lines), "utf-8")
        return path

    def _hatchling(self, project: Path) -> None:
        self._run([sys.executable, "-m", "hatchling", "build", "--directory", str(self._folder)], project)

    def _give_one_time(self, archive: Path) -> None:
        """Write a `.tgz` anew with one time for all: helm stamps each file with the clock."""
        content = BytesIO()
        with tarfile.open(archive) as old, tarfile.open(fileobj=content, mode="w") as new:
            for member in sorted(old.getmembers(), key=lambda each: each.name):
                member.mtime = self._made_at
                new.addfile(member, old.extractfile(member))
        archive.write_bytes(gzip.compress(content.getvalue(), mtime=self._made_at))

    def _run(self, command: list[str], folder: Path) -> None:
        try:
            done = subprocess.run(
                command, cwd=folder, env=self._environment, capture_output=True, text=True, check=False
            )
        except FileNotFoundError as error:
            raise NoReleaseError(f"there is no {command[0]} here") from error
        if done.returncode:
            raise NoReleaseError(f"`{' '.join(command)}`: {(done.stderr or done.stdout).strip()[-2000:]}")


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
