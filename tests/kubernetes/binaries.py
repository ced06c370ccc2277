"""kube-apiserver and etcd, built once from their Go modules: some ten minutes on two idle cores.

And how Prometheus's operator defines its kinds, which its module holds too.
"""

import re
import shutil
import zipfile
from pathlib import Path
from typing import Any, Final

import yaml

from tests import golang

KUBERNETES: Final = "v1.37.2"
STAGING: Final = KUBERNETES.replace("v1.", "v0.")
"""Of the modules that are published out of Kubernetes's own repository, each time it is released."""

OPERATOR: Final = "github.com/prometheus-operator/prometheus-operator@v0.85.0"

ETCD: Final = "v3.6.16"
ETCD_MAIN: Final = """\
package main

import (
	"os"

	"go.etcd.io/etcd/server/v3/etcdmain"
)

func main() { etcdmain.Main(os.Args) }
"""
OUTSIDE: Final = {"GOWORK": "off", "GOFLAGS": "-mod=mod -buildvcs=false -trimpath"}


def kube_apiserver() -> Path:
    """The program, built if need be. Raises: golang.NoProgramError."""
    return golang.built(f"kube-apiserver-{KUBERNETES}", "kube-apiserver", _build_kube_apiserver)


def etcd() -> Path:
    """The program, built if need be. Raises: golang.NoProgramError."""
    return golang.built(f"etcd-{ETCD}", "etcd", _build_etcd)


def operator_definitions(*kinds: str) -> list[dict[str, Any]]:
    """The CustomResourceDefinitions of some kinds. Raises: golang.NoProgramError."""
    folder = Path(golang.module(OPERATOR)["Dir"]) / "example" / "prometheus-operator-crd"
    files = (folder / f"monitoring.coreos.com_{kind.lower()}s.yaml" for kind in kinds)
    return [yaml.safe_load(file.read_text()) for file in files]


def by_version(go_mod: str) -> str:
    """A go.mod of Kubernetes that takes the modules by their version which it has in folders of its own."""
    return re.sub(r"(\S+) => \./staging/src/\S+", rf"\1 => \1 {STAGING}", go_mod)


def _build_kube_apiserver(folder: Path) -> None:
    """Its module names parts by folders that the module does not hold: take the published ones."""
    with zipfile.ZipFile(golang.module(f"k8s.io/kubernetes@{KUBERNETES}")["Zip"]) as archive:
        archive.extractall(folder / "unpacked")
    source = folder / "unpacked" / "k8s.io" / f"kubernetes@{KUBERNETES}"
    for name in ("vendor", "staging"):
        shutil.rmtree(source / name, ignore_errors=True)
    (source / "go.work").unlink(missing_ok=True)
    file = source / "go.mod"
    file.write_text(by_version(file.read_text()))
    major, minor = KUBERNETES.removeprefix("v").split(".")[:2]
    said = {"gitVersion": KUBERNETES, "gitMajor": major, "gitMinor": minor}
    linked = " ".join(f"-X k8s.io/component-base/version.{name}={value}" for name, value in said.items())
    golang.go(
        *("build", "-ldflags", f"-s -w {linked}", "-o", str(folder), "./cmd/kube-apiserver"),
        cwd=source,
        environment=OUTSIDE,
    )


def _build_etcd(folder: Path) -> None:
    source = folder / "source"
    source.mkdir()
    (source / "main.go").write_text(ETCD_MAIN)
    golang.go("mod", "init", "etcd", cwd=source, environment=OUTSIDE)
    golang.go("get", f"go.etcd.io/etcd/server/v3@{ETCD}", cwd=source, environment=OUTSIDE)
    golang.go("build", "-o", str(folder / "etcd"), ".", cwd=source, environment=OUTSIDE)
