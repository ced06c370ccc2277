"""The life of a release: helm installs, upgrades, rolls back and removes the chart, hooks and all.

Nobody runs the hook's Job here, which helm waits for. What Kubernetes's controller would say of it once its
pod had ended well is said in its place.
"""

import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Final

from deploy.processes import say
from tests.deploy.chart.rendering import CHART, NAME, RELEASE, VALUES, helm
from tests.kubernetes.cluster import Cluster

NAMESPACE: Final = "mail-helm"
CLAIM: Final = f"PersistentVolumeClaim {NAME}-archive"
"""Which helm keeps: it holds an archive."""

OF_HELM: Final = "Secret sh.helm.release."
"""How its records of a release begin."""

POLL_S: Final = 0.1


class WrongError(Exception):
    """Kubernetes or helm did something else than they should; the text says what."""


def live_through(cluster: Cluster, kubeconfig: Path) -> None:
    """All of it, in a namespace of its own. Raises: WrongError, RefusedError."""
    cluster.make_namespace(NAMESPACE)
    seen = {}
    for what, hooks, command in (
        ("installed", 1, ("install", RELEASE, CHART, "--values", VALUES["least"])),
        ("upgraded", 1, ("upgrade", RELEASE, CHART, "--values", VALUES["whole"])),
        ("rolled back", 0, ("rollback", RELEASE, "1")),
        ("upgraded again", 0, ("upgrade", RELEASE, CHART, "--values", VALUES["lake"])),
        ("removed", 0, ("uninstall", RELEASE)),
        ("installed again", 1, ("install", RELEASE, CHART, "--values", VALUES["whole"])),
        ("removed again", 0, ("uninstall", RELEASE)),
    ):
        jobs = run(cluster, (*command, "--kubeconfig", kubeconfig, "--namespace", NAMESPACE))
        if jobs != hooks:
            raise WrongError(f"helm {command[0]} made {jobs} jobs, not {hooks}")
        seen[what] = {each for each in cluster.all_names(NAMESPACE) if not each.startswith(OF_HELM)}
        say(f"helm {command[0]}: {what}, {len(seen[what])} objects there")
    if seen["rolled back"] != seen["installed"] | {CLAIM}:
        raise WrongError(f"a rollback differs by {seen['rolled back'] ^ seen['installed']}")
    if seen["installed again"] != seen["upgraded"]:
        raise WrongError(
            f"beside a kept claim is {seen['installed again'] ^ seen['upgraded']} too much or missing"
        )
    for what in ("removed", "removed again"):
        if seen[what] != {CLAIM, "ServiceAccount default"}:
            raise WrongError(f"helm left behind {seen[what]}")
    if records := [each for each in cluster.all_names(NAMESPACE) if each.startswith(OF_HELM)]:
        raise WrongError(f"helm left behind {records}")


def run(cluster: Cluster, command: Sequence[str | Path]) -> int:
    """Run helm, and end its jobs.

    Returns: how many these were. Raises: WrongError where helm fails or warns.
    """
    jobs = 0
    with ThreadPoolExecutor(1) as beside:
        running = beside.submit(helm, *command)
        while not running.done():
            jobs += cluster.end_jobs(NAMESPACE)
            time.sleep(POLL_S)
        done = running.result()
    if done.returncode or "violate PodSecurity" in done.stderr:
        raise WrongError(f"helm {command[0]}: {done.stderr}")
    return jobs
