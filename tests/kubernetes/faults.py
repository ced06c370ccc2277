"""What Kubernetes must refuse: the chart's manifests with one place of one of them spoilt. Pure."""

import copy
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from tests.deploy.chart.rendering import Manifest, of_kind, pods


class Fault(NamedTuple):
    """One place that is spoilt.

    kind, name: of the manifest, `Pod` for a program's; without the release's name. place: keys and indexes
    from its top. value: what stands there then. says: a word of the refusal.
    """

    kind: str
    name: str
    place: tuple[str | int, ...]
    value: Any
    says: str


RESTRICTED: Final = 'violates PodSecurity "restricted'
CONTAINER: Final = ("spec", "containers", 0)
SECURITY: Final = (*CONTAINER, "securityContext")
PORT: Final = ("spec", "egress", 0, "ports", 0)

FAULTS: Final = {
    "a privileged container": Fault("Pod", "ingest", (*SECURITY, "privileged"), True, "privileged"),
    "privileges that can grow": Fault(
        "Pod", "api", (*SECURITY, "allowPrivilegeEscalation"), True, RESTRICTED
    ),
    "capabilities that stay": Fault("Pod", "aggregator", (*SECURITY, "capabilities"), {}, RESTRICTED),
    "a user that is root": Fault("Pod", "audit", ("spec", "securityContext", "runAsUser"), 0, RESTRICTED),
    "no seccomp profile": Fault(
        "Pod", "topics", ("spec", "securityContext", "seccompProfile"), None, RESTRICTED
    ),
    "the network of the host": Fault("Pod", "rebuild", ("spec", "hostNetwork"), True, RESTRICTED),
    "a folder of the host": Fault(
        "Pod", "archive", ("spec", "volumes", 0), {"name": "tmp", "hostPath": {"path": "/"}}, RESTRICTED
    ),
    "a port of the host": Fault("Pod", "ingest", (*CONTAINER, "ports", 0, "hostPort"), 8081, RESTRICTED),
    "a pod with a field that nobody knows": Fault(
        "Pod", "verify", (*SECURITY, "readOnlyRoot"), True, "unknown field"
    ),
    "a deployment with a field that nobody knows": Fault(
        "Deployment", "api", ("spec", "strategy", "rollingUpdate", "maxUnavailabe"), 0, "maxUnavailabe"
    ),
    "a version of the API that is gone": Fault(
        "PodDisruptionBudget", "api", ("apiVersion",), "policy/v1beta1", "knows no"
    ),
    "a selector that finds other pods": Fault(
        "Deployment", "ingest", ("spec", "selector", "matchLabels"), {"a": "b"}, "selector"
    ),
    "a probe of no port": Fault(
        "Pod", "ingest", (*CONTAINER, "livenessProbe", "httpGet", "port"), 0, "livenessProbe"
    ),
    "a volume that is not there": Fault("Pod", "archive", ("spec", "volumes"), [], "volumeMounts"),
    "a policy for a port that there cannot be": Fault(
        "NetworkPolicy", "ingest", (*PORT, "port"), 70_000, "port"
    ),
    "a policy for a protocol that there is not": Fault(
        "NetworkPolicy", "ingest", (*PORT, "protocol"), "HTTP", "protocol"
    ),
    "a policy for addresses that are none": Fault(
        "NetworkPolicy", "api", ("spec", "egress", 0, "to"), [{"ipBlock": {"cidr": "10.20"}}], "cidr"
    ),
    "more memory asked for than allowed": Fault(
        "Pod", "rebuild", (*CONTAINER, "resources", "requests", "memory"), "9Gi", "memory limit"
    ),
    "a size that is none": Fault(
        "Pod", "aggregator", ("spec", "volumes", 0, "emptyDir", "sizeLimit"), "64MB", "quantit"
    ),
    "a rollout that can neither add nor take away": Fault(
        "Deployment", "api", ("spec", "strategy", "rollingUpdate", "maxSurge"), 0, "may not be 0"
    ),
    "a pace of scaling that is too slow": Fault(
        "HorizontalPodAutoscaler",
        "aggregator",
        ("spec", "behavior", "scaleDown", "policies", 0, "periodSeconds"),
        3_600,
        "periodSeconds",
    ),
    "a name that is too long": Fault(
        "CronJob", "rebuild", ("metadata", "name"), "m" * 53, "no more than 52 characters"
    ),
    "a job that starts for ever": Fault(
        "Job", "topics", ("spec", "template", "spec", "restartPolicy"), "Always", "restartPolicy"
    ),
    "a schedule that is none": Fault("CronJob", "verify", ("spec", "schedule"), "at night", "schedule"),
    "a way in of no kind": Fault(
        "Ingress", "api", ("spec", "rules", 0, "http", "paths", 0, "pathType"), "Any", "pathType"
    ),
    "scaling to fewer than none": Fault(
        "HorizontalPodAutoscaler", "aggregator", ("spec", "maxReplicas"), -1, "maxReplicas"
    ),
    "scraping at times that are none": Fault(
        "ServiceMonitor", "", ("spec", "endpoints", 0, "interval"), "often", "interval"
    ),
    "scraping with a field that nobody knows": Fault(
        "ServiceMonitor", "", ("spec", "sampelLimit"), 5_000, "sampelLimit"
    ),
    "an alarm with a field that nobody knows": Fault(
        "PrometheusRule", "", ("spec", "groups", 0, "rules", 0, "four"), "1m", "four"
    ),
}


def planted(fault: Fault, found: Sequence[Manifest]) -> Manifest:
    """A copy of the manifest with the fault in it; of a pod it is the template.

    found: all of the chart's. Raises: KeyError where there is none such.
    """
    them = pods(list(found)) if fault.kind == "Pod" else named(found, fault.kind)
    spoilt = copy.deepcopy(them[fault.name])
    *way, last = fault.place
    inner: Any = spoilt
    for step in way:
        inner = inner[step]
    inner[last] = fault.value
    return spoilt


def named(found: Sequence[Manifest], kind: str) -> dict[str, Manifest]:
    """Those of a kind by their names without the release's; one that has only that is called by nothing."""
    return {
        "" if name.endswith("ses-metrics") else name: each
        for name, each in of_kind(list(found), kind).items()
    }
