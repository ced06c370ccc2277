"""`python -m tests.kubernetes`: the chart on a real kube-apiserver; exit status 1 where a step fails."""

import sys
import tempfile
import time
from pathlib import Path
from typing import Final

from deploy.processes import StackError, say
from deploy.release.artifacts import HELM
from tests import golang
from tests.deploy.chart.rendering import CHART, LONGEST_RELEASE, VALUES, Manifest, manifests, pods, rendered
from tests.kubernetes import binaries
from tests.kubernetes.cluster import Cluster, RefusedError, running
from tests.kubernetes.faults import FAULTS, planted
from tests.kubernetes.release import WrongError, live_through

OPERATOR: Final = "monitoring.coreos.com/v1"
OPERATOR_KINDS: Final = ("ServiceMonitor", "PrometheusRule")
KNOWN_S: Final = 60.0
"""How long Kubernetes may take to serve a kind that was defined a moment ago."""

FAULTY_NAMESPACE: Final = "mail-faults"


def main() -> int:
    """Do all of it; returns the exit status."""
    say(f"kube-apiserver {binaries.KUBERNETES} and etcd {binaries.ETCD}: built here where they are not yet")
    try:
        golang.installed(HELM)
        with (
            tempfile.TemporaryDirectory(prefix="ses-metrics-kubernetes-") as folder,
            running(Path(folder)) as (cluster, kubeconfig),
        ):
            say("they are up")
            define(cluster)
            for values in VALUES:
                apply(cluster, values, manifests(values))
            apply(cluster, "long", rendered(CHART, "--values", VALUES["whole"], release=LONGEST_RELEASE))
            refuse(cluster)
            live_through(cluster, kubeconfig)
    except (golang.NoProgramError, StackError, RefusedError, WrongError) as error:
        say(f"error: {error}", error=True)
        return 1
    say("Kubernetes takes the chart; no pod ran, as there is no kubelet")
    return 0


def define(cluster: Cluster) -> None:
    """The kinds of Prometheus's operator, as it defines them. Raises: WrongError where they stay unknown."""
    for definition in binaries.operator_definitions(*OPERATOR_KINDS):
        cluster.apply(definition)
    until = time.monotonic() + KNOWN_S
    while not cluster.knows(OPERATOR, *OPERATOR_KINDS):
        if time.monotonic() > until:
            raise WrongError("the kinds of Prometheus's operator do not come up")
        time.sleep(0.2)


def apply(cluster: Cluster, name: str, found: list[Manifest]) -> None:
    """Every manifest of a release, twice, and a pod of every template.

    name: of the case. Raises: RefusedError, WrongError.
    """
    namespace = f"mail-{name}"
    cluster.make_namespace(namespace)
    first = [cluster.apply(each, namespace) for each in found]
    again = [cluster.apply(each, namespace) for each in found]
    for before, after in zip(first, again, strict=True):
        if content(before) != content(after):
            raise WrongError(
                f"applied again it changes: {content(before)} was there, and now {content(after)}"
            )
    templates = pods(found)
    for template in templates.values():
        cluster.try_pod(template, namespace)
    say(f"{name}: {len(found)} manifests applied twice, {len(templates)} pods admitted as restricted")


def content(manifest: Manifest) -> Manifest:
    """A manifest without the server's own books of who changed it and how often."""
    books = ("resourceVersion", "managedFields")
    told = {name: each for name, each in manifest["metadata"].items() if name not in books}
    return {**manifest, "metadata": told}


def refuse(cluster: Cluster) -> None:
    """What must be refused is, and for its own reason: else nothing above says anything.

    Raises: WrongError.
    """
    cluster.make_namespace(FAULTY_NAMESPACE)
    found = manifests("whole")
    for account in (each for each in found if each["kind"] == "ServiceAccount"):
        cluster.apply(account, FAULTY_NAMESPACE)
    for what, fault in FAULTS.items():
        manifest = planted(fault, found)
        try:
            if fault.kind == "Pod":
                cluster.try_pod(manifest, FAULTY_NAMESPACE)
            else:
                cluster.apply(manifest, FAULTY_NAMESPACE, dry_run=True)
        except RefusedError as refusal:
            if fault.says not in str(refusal):
                raise WrongError(f"{what}: refused without a word of {fault.says!r}: {refusal}") from refusal
        else:
            raise WrongError(f"Kubernetes took {what}")
    say(f"{len(FAULTS)} planted faults refused: {', '.join(FAULTS)}")


if __name__ == "__main__":
    sys.exit(main())
