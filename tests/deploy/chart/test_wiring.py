"""What of the chart must fit: selectors, ports, policies, the public's paths, and what Prometheus goes by."""

import re
from typing import Any, Final

import pytest
import yaml

from aggregator.metrics import WORKER
from api.app import create_app
from api.config import ApiSettings
from deploy.stack import CHECKOUT
from schemas.shared.metrics_port import OPERATORS
from tests.api.conftest import FixedKeys
from tests.deploy.chart.rendering import (
    NAME,
    PROGRAMS,
    VALUES,
    Manifest,
    container,
    manifests,
    of_kind,
    pods,
    selects,
)

pytestmark = pytest.mark.programs

ALARMS: Final = CHECKOUT / "deploy" / "alarms.yaml"
TABLE: Final = PROGRAMS["programs"]
DNS: Final = [{"port": 53, "protocol": "UDP"}, {"port": 53, "protocol": "TCP"}]


@pytest.mark.parametrize("values", VALUES)
def test_selectors_find_the_pods_of_one_program(values: str) -> None:
    found = manifests(values)
    templates = pods(found)
    labels = {program: pod["metadata"]["labels"] for program, pod in templates.items()}

    def chosen(selector: dict[str, str]) -> list[str]:
        return [program for program in labels if selects(selector, labels[program])]

    for program, each in of_kind(found, "Deployment").items():
        assert chosen(each["spec"]["selector"]["matchLabels"]) == [program]
        for spread in each["spec"]["template"]["spec"]["topologySpreadConstraints"]:
            assert chosen(spread["labelSelector"]["matchLabels"]) == [program]
            assert spread["whenUnsatisfiable"] == "ScheduleAnyway"
    for program, each in of_kind(found, "PodDisruptionBudget").items():
        assert chosen(each["spec"]["selector"]["matchLabels"]) == [program]
        assert each["spec"]["maxUnavailable"] == 1
    for name, each in of_kind(found, "Service").items():
        [program] = chosen(each["spec"]["selector"])
        assert name in (program, f"{program}-metrics")
        ports = {port["name"] for port in container(templates[program])["ports"]}
        assert {port["targetPort"] for port in each["spec"]["ports"]} <= ports
    services = of_kind(found, "Service")
    assert {name for name in services if not name.endswith("-metrics")} == {"ingest", "api"}
    for program in of_kind(found, "Deployment"):
        assert services[f"{program}-metrics"]["spec"]["publishNotReadyAddresses"] is True
    for program, each in of_kind(found, "Ingress").items():
        for path in each["spec"]["rules"][0]["http"]["paths"]:
            assert path["backend"]["service"] == {"name": f"{NAME}-{program}", "port": {"name": "http"}}
    for program, each in of_kind(found, "HorizontalPodAutoscaler").items():
        assert each["spec"]["scaleTargetRef"]["name"] == f"{NAME}-{program}"
        assert "replicas" not in of_kind(found, "Deployment")[program]["spec"]
        for way in each["spec"]["behavior"].values():
            assert way["stabilizationWindowSeconds"] <= 3_600, "Kubernetes takes no more"
            assert all(policy["periodSeconds"] <= 1_800 for policy in way["policies"]), "nor here"
        [asked] = each["spec"]["metrics"]
        assert asked["pods"]["metric"]["name"] in {metric.name for metric in WORKER.collect()}


def namespace(name: str) -> Manifest:
    """All pods of a namespace, as a peer."""
    return {"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": name}}}


def test_a_network_policy_opens_what_a_program_has_and_needs() -> None:
    found = manifests("whole")
    templates = pods(found)
    policies = of_kind(found, "NetworkPolicy")
    assert set(policies) == set(templates)
    ports = {"kafka": 9093, "redis": 6379, "https": 443}
    for program, each in policies.items():
        spec, facts = each["spec"], TABLE[program]
        assert spec["policyTypes"] == ["Ingress", "Egress"]
        assert selects(spec["podSelector"]["matchLabels"], templates[program]["metadata"]["labels"])
        rules = {rule["ports"][0]["port"]: rule.get("from") for rule in spec.get("ingress", ())}
        expected: dict[int, Any] = {}
        if "http" in facts:
            expected[facts["http"]["port"]] = [namespace("ingress-nginx")]
        if "metrics" in facts:
            expected[facts["metrics"]["port"]] = [namespace("observability")]
        assert rules == expected
        assert spec["egress"][0] == {"ports": DNS}
        way_out = {rule["ports"][0]["port"]: rule.get("to") for rule in spec["egress"]}
        assert way_out == {53: None} | {ports[name]: None for name in facts["reaches"]} | {
            9093: [{"ipBlock": {"cidr": "10.20.0.0/16"}}]
        }
    assert of_kind(manifests("lake"), "NetworkPolicy") == {}


def test_what_the_hook_needs_is_there_before_it_and_both_go() -> None:
    """Helm removes hooks that went well after the last of them, and never with the release."""
    found = manifests("least")
    hooks = {
        each["kind"]: each["metadata"]["annotations"]
        for each in found
        if "helm.sh/hook" in each["metadata"].get("annotations", {})
    }
    assert set(hooks) == {"Job", "NetworkPolicy"}
    assert {each["helm.sh/hook"] for each in hooks.values()} == {"pre-install,pre-upgrade"}
    assert {each["helm.sh/hook-delete-policy"] for each in hooks.values()} == {
        "before-hook-creation,hook-succeeded"
    }
    assert int(hooks["NetworkPolicy"]["helm.sh/hook-weight"]) < int(hooks["Job"]["helm.sh/hook-weight"])


def test_the_alarms_are_those_of_the_one_file() -> None:
    groups = yaml.safe_load(ALARMS.read_text())["groups"]
    [rule] = of_kind(manifests("whole"), "PrometheusRule").values()
    assert rule["spec"]["groups"] == groups
    assert rule["metadata"]["labels"]["release"] == "prometheus"
    [without] = of_kind(manifests("lake"), "PrometheusRule").values()
    left_out = [each for group in groups for each in group["rules"]]
    for each in without["spec"]["groups"][0]["rules"]:
        left_out.remove(each)
    assert {each["alert"] for each in left_out} == {"AuditMismatch", "AuditSilent"}


def test_prometheus_scrapes_each_program_under_the_name_that_the_alarms_know() -> None:
    found = manifests("whole")
    [monitor] = of_kind(found, "ServiceMonitor").values()
    selector = monitor["spec"]["selector"]["matchLabels"]
    label = monitor["spec"]["jobLabel"]
    services = of_kind(found, "Service")
    scraped = {
        name: each["metadata"]["labels"]
        for name, each in services.items()
        if selects(selector, each["metadata"]["labels"])
    }
    assert {labels[label]: name for name, labels in scraped.items()} == {
        program: f"{program}-metrics" for program in of_kind(found, "Deployment")
    }
    named = re.findall(r'job=~?"([a-z|]+)"', ALARMS.read_text())
    assert set("|".join(named).split("|")) <= {labels[label] for labels in scraped.values()}
    config = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yaml").read_text())
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint == {
        "port": "metrics",
        "path": "/metrics",
        "interval": config["global"]["scrape_interval"],
    }
    assert all(
        each["spec"]["ports"][0]["name"] == "metrics" for name, each in services.items() if name in scraped
    )


def public(ingress: Manifest) -> list[tuple[str, str]]:
    return [(each["path"], each["pathType"]) for each in ingress["spec"]["rules"][0]["http"]["paths"]]


def test_an_ingress_has_the_paths_of_the_public_and_tls() -> None:
    """All that the API answers but probes and metrics; of ingest the webhook alone."""
    ingresses = of_kind(manifests("whole"), "Ingress")
    assert public(ingresses["ingest"]) == [("/webhooks/sns", "Exact")]

    def reached(path: str) -> bool:
        return any(
            path == each or (kind == "Prefix" and path.startswith(f"{each}/"))
            for each, kind in public(ingresses["api"])
        )

    app: Any = create_app(ApiSettings(), keys=FixedKeys())
    paths = {route.path for route in app.routes}
    assert "/api/metrics" in paths
    assert {path for path in paths if not reached(path)} == OPERATORS
    assert all(each["spec"]["tls"][0]["secretName"] for each in ingresses.values())
