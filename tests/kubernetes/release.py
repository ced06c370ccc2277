"""The life of a release: helm installs, upgrades, rolls back and removes the chart, hooks and all.

Nobody runs the hook's Job here, which helm waits for. What Kubernetes's controller would say of it once its
pod had ended well is said in its place.
"""

import subprocess
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

FAILED_HOOK: Final = f"Job {NAME}-topics"
"""What stays where it fails, for who looks why; the next upgrade begins by taking it away."""

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
        done, jobs = run(cluster, kubeconfig, command)
        if done.returncode or "violate PodSecurity" in done.stderr:
            raise WrongError(f"helm {command[0]}: {done.stderr}")
        if jobs != hooks:
            raise WrongError(f"helm {command[0]} made {jobs} jobs, not {hooks}")
        seen[what] = names(cluster)
        say(f"helm {command[0]}: {what}, {len(seen[what])} objects there")
        if what == "installed":
            changes_nothing(cluster, kubeconfig, seen[what])
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


def changes_nothing(cluster: Cluster, kubeconfig: Path, before: set[str]) -> None:
    """An upgrade whose job of topics fails. before: what is there. Raises: WrongError."""
    upgrade = ("upgrade", RELEASE, CHART, "--values", VALUES["whole"])
    done, _ = run(cluster, kubeconfig, upgrade, well=False)
    if not done.returncode or "pre-upgrade hooks failed" not in done.stderr:
        raise WrongError(f"helm goes on after a hook that failed: {done.stdout}{done.stderr}")
    if changed := names(cluster) ^ before ^ {FAILED_HOOK}:
        raise WrongError(f"an upgrade whose hook fails changes or lacks {changed}")
    say("helm upgrade: its hook failed, and nothing else was changed")


def names(cluster: Cluster) -> set[str]:
    """What is there, without helm's records."""
    return {each for each in cluster.all_names(NAMESPACE) if not each.startswith(OF_HELM)}


def run(
    cluster: Cluster, kubeconfig: Path, command: Sequence[str | Path], *, well: bool = True
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Run helm, and end its jobs. well: how these end.

    Returns: what it says, and how many jobs there were.
    """
    jobs = 0
    with ThreadPoolExecutor(1) as beside:
        where = ("--kubeconfig", kubeconfig, "--namespace", NAMESPACE)
        running = beside.submit(helm, *command, *where)
        while not running.done():
            jobs += cluster.end_jobs(NAMESPACE, well=well)
            time.sleep(POLL_S)
        return running.result(), jobs
