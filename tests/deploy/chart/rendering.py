"""The chart as helm renders it, and how tests ask for a part of it."""

import subprocess
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import yaml

from deploy.release.artifacts import HELM
from deploy.stack import CHECKOUT
from tests import golang
from tests.debian import skip_but_not_in_ci

CHART: Final = CHECKOUT / "deploy" / "helm" / "ses-metrics"
VALUES: Final = {path.stem: path for path in sorted((Path(__file__).parent / "values").glob("*.yaml"))}
"""`least`: what must be set. `whole`: every switch on, TLS, secrets. `lake`: an archive on S3, no audit."""

PROGRAMS: Final[dict[str, dict[str, Any]]] = yaml.safe_load((CHART / "files" / "programs.yaml").read_text())
RELEASE: Final = "mail"
NAME: Final = f"{RELEASE}-ses-metrics"
LONGEST_RELEASE: Final = "m" * 53
"""Helm takes no longer name."""

Manifest = dict[str, Any]


def helm(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """Run helm, of the version that is pinned here."""
    try:
        program = golang.installed(HELM)
    except golang.NoProgramError as why:
        skip_but_not_in_ci(f"no helm: {why}")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False)


def template(chart: Path, *arguments: str | Path, release: str = RELEASE) -> subprocess.CompletedProcess[str]:
    """Have helm render a chart for a Kubernetes of today; built from its module it would take an old one."""
    where = ("--namespace", "mail", "--kube-version", kubernetes_validate.latest_version())
    return helm("template", release, chart, *where, *arguments)


def rendered(chart: Path, *arguments: str | Path, release: str = RELEASE) -> list[Manifest]:
    """The manifests of a chart, hooks too. Fails where helm does."""
    done = template(chart, *arguments, release=release)
    assert done.returncode == 0, done.stderr
    return [each for each in yaml.safe_load_all(done.stdout) if each]


@cache
def manifests(name: str, *settings: str) -> list[Manifest]:
    """Our chart under a values file of ours. settings: as `--set` takes them."""
    return rendered(CHART, "--values", VALUES[name], *(word for each in settings for word in ("--set", each)))


def of_kind(found: list[Manifest], *kinds: str) -> dict[str, Manifest]:
    """Those of some kinds, by their names without the release's."""
    return {
        each["metadata"]["name"].removeprefix(f"{NAME}-"): each for each in found if each["kind"] in kinds
    }


def pods(found: list[Manifest]) -> dict[str, Manifest]:
    """The template of each program's pod, by the program."""
    return dict(_pods(found))


def _pods(found: list[Manifest]) -> Iterator[tuple[str, Manifest]]:
    for name, each in of_kind(found, "Deployment", "Job", "CronJob").items():
        spec = each["spec"]
        yield name, (spec["jobTemplate"]["spec"] if each["kind"] == "CronJob" else spec)["template"]


def container(pod: Manifest) -> Manifest:
    """The only container of a pod."""
    [only] = pod["spec"]["containers"]
    return dict(only)


def environment(pod: Manifest) -> dict[str, str | None]:
    """The settings that a pod's program is given; none is one that a Secret holds."""
    given = container(pod)["env"]
    names = [each["name"] for each in given]
    assert len(set(names)) == len(names), "a name twice"
    return {each["name"]: each.get("value") for each in given}


def selects(selector: Mapping[str, str], labels: Mapping[str, str]) -> bool:
    """Whether a selector is about who has these labels."""
    return selector.items() <= labels.items()
