"""The manifests: known to Kubernetes, within PodSecurity's `restricted`, all there; what helm refuses."""

import re
import shutil
import tarfile
from pathlib import Path
from typing import Final

import kubernetes_validate
import pytest

from deploy.stack import CHECKOUT
from tests.deploy.chart.rendering import (
    CHART,
    LONGEST_RELEASE,
    NAME,
    PROGRAMS,
    VALUES,
    Manifest,
    container,
    environment,
    helm,
    manifests,
    of_kind,
    pods,
    rendered,
    template,
)

pytestmark = pytest.mark.programs

ALARMS: Final = CHECKOUT / "deploy" / "alarms.yaml"
TABLE: Final = PROGRAMS["programs"]
OPERATOR: Final = "monitoring.coreos.com/v1"
"""Of Prometheus's operator, of which Kubernetes has no schema."""


@pytest.mark.parametrize("values", VALUES)
def test_helm_has_nothing_to_say(values: str) -> None:
    done = helm("lint", "--strict", CHART, "--values", VALUES[values])
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("release", ["1.27", "1.31", kubernetes_validate.latest_version()])
@pytest.mark.parametrize("values", VALUES)
def test_kubernetes_knows_every_field(values: str, release: str) -> None:
    found = [each for each in manifests(values) if each["apiVersion"] != OPERATOR]
    assert len(found) > 10
    for each in found:
        kubernetes_validate.validate(each, release, strict=True)


def test_a_field_that_nobody_knows_is_noticed() -> None:
    """The test above can fail."""
    [account] = of_kind(manifests("least"), "ServiceAccount").values()
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate({**account, "automountToken": False}, "1.31", strict=True)


@pytest.mark.parametrize("values", VALUES)
def test_each_switch_brings_its_parts(values: str) -> None:
    found = manifests(values)
    deployed = {"ingest", "aggregator", "api"}
    deployed |= {"archive"} if values in ("whole", "lake") else set()
    deployed |= {"audit"} if values in ("whole", "least") else set()
    assert set(of_kind(found, "Deployment")) == deployed
    assert set(of_kind(found, "Job")) == ({"topics"} if values != "lake" else set())
    assert set(of_kind(found, "CronJob")) == {"rebuild", "verify"}
    assert set(of_kind(found, "PodDisruptionBudget")) == {"ingest", "aggregator", "api"}
    assert set(of_kind(found, "Ingress")) == ({"ingest", "api"} if values == "whole" else set())
    assert set(of_kind(found, "HorizontalPodAutoscaler")) == ({"aggregator"} if values == "whole" else set())
    assert len(of_kind(found, "ServiceMonitor")) == (values == "whole")
    assert len(of_kind(found, "PrometheusRule")) == (values in ("whole", "lake"))
    assert of_kind(found, "Secret", "ConfigMap", "Role", "RoleBinding", "ClusterRole") == {}
    keys = [(each["kind"], each["metadata"]["name"]) for each in found]
    assert len(set(keys)) == len(keys)


def test_names_fit_however_long_the_name_of_the_release_is() -> None:
    """Kubernetes's schemas know no lengths; the longest of ours are those of CronJobs and of Services."""
    found = rendered(CHART, "--values", VALUES["whole"], release=LONGEST_RELEASE)
    limits = {"CronJob": 52, "Deployment": 63, "Job": 63, "Service": 63}
    assert {each["kind"] for each in found} >= set(limits)
    for each in found:
        assert len(each["metadata"]["name"]) <= limits.get(each["kind"], 253), each["metadata"]["name"]


@pytest.mark.parametrize("values", VALUES)
def test_every_pod_is_restricted(values: str) -> None:
    """Kubernetes's Pod Security Standards, profile `restricted`; and less than that allows."""
    found = pods(manifests(values))
    assert len(found) >= 6
    for program, pod in found.items():
        spec, only = pod["spec"], container(pod)
        assert (
            spec["securityContext"] | {"runAsNonRoot": True, "runAsUser": 10001, "runAsGroup": 10001}
            == spec["securityContext"]
        )
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        assert only["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert not {"hostNetwork", "hostPID", "hostIPC", "initContainers", "ephemeralContainers"} & set(spec)
        kinds = {kind for volume in spec["volumes"] for kind in volume if kind != "name"}
        assert kinds <= {"emptyDir", "secret", "configMap", "persistentVolumeClaim"}
        assert spec["automountServiceAccountToken"] is False, program
        [tmp] = [volume for volume in spec["volumes"] if volume["name"] == "tmp"]
        assert tmp["emptyDir"]["sizeLimit"]
        assert {"name": "tmp", "mountPath": "/tmp"} in only["volumeMounts"]  # noqa: S108  # a pod's own
        assert set(only["resources"]["requests"]) == {"cpu", "memory"}
        assert set(only["resources"]["limits"]) == {"memory"}, "a limit of CPU stops a program in a batch"


def test_accounts_have_no_token_and_are_there() -> None:
    """The hook's Job is before them, and has the namespace's own."""
    found = manifests("lake")
    accounts = {each["metadata"]["name"]: each for each in found if each["kind"] == "ServiceAccount"}
    assert set(accounts) == {NAME, f"{NAME}-archive"}
    assert all(each["automountServiceAccountToken"] is False for each in accounts.values())
    assert "annotations" not in accounts[NAME]["metadata"]
    assert accounts[f"{NAME}-archive"]["metadata"]["annotations"]
    for pod in pods(found).values():
        of_archive = "ARCHIVE_URL" in environment(pod)
        assert pod["spec"]["serviceAccountName"] == NAME + ("-archive" if of_archive else "")
    assert "serviceAccountName" not in pods(manifests("least"))["topics"]["spec"]


def test_a_packed_chart_holds_them_too_and_is_the_same(tmp_path: Path) -> None:
    """In the checkout the file is a link, so that no second copy of it can differ."""
    assert (CHART / "files" / "alarms.yaml").resolve() == ALARMS
    done = helm("package", CHART, "--destination", tmp_path)
    assert done.returncode == 0, done.stderr
    [packed] = tmp_path.iterdir()
    with tarfile.open(packed) as archive:
        held = archive.extractfile("ses-metrics/files/alarms.yaml")
        assert held is not None
        assert held.read() == ALARMS.read_bytes()
    assert rendered(packed, "--values", VALUES["whole"]) == manifests("whole")


REFUSED: Final = {
    "a setting that no program knows": (
        "settings.KAFKA_BOOTSTRAP_SERVER=kafka:9092",
        "no setting of any program",
    ),
    "a setting of another program": (
        "ingest.settings.REDIS_URL=redis://valkey",
        "REDIS_URL is no setting of ingest",
    ),
    "a secret that no program knows": (
        "secrets.NOTHING.name=a,secrets.NOTHING.key=b",
        "no setting of any program",
    ),
    "a password among the settings": ("settings.KAFKA_SASL_PASSWORD=x", "KAFKA_SASL_PASSWORD"),
    "a key among the settings": ("aggregator.settings.RECIPIENT_KEY=0011", "RECIPIENT_KEY"),
    "a password in a URL": ("settings.REDIS_URL=redis://a:b@valkey", "REDIS_URL"),
    "a password of a replica": ("api.settings.REDIS_READ_URL=redis://a:b@valkey", "REDIS_READ_URL"),
    "no Kafka": ("settings.KAFKA_BOOTSTRAP_SERVERS=", "KAFKA_BOOTSTRAP_SERVERS is not set"),
    "no topic of SNS": ("ingest.settings.SNS_TOPIC_ARNS=", "SNS_TOPIC_ARNS is not set"),
    "an archive without a place": ("archive.enabled=true", "ARCHIVE_URL is not set"),
    "an archive without a key": ("archive.enabled=true,archive.volume.size=1Gi", "RECIPIENT_KEY is not set"),
    "more workers than partitions": ("aggregator.replicas=5", "5 workers on 4 partitions"),
    "as many when scaled": (
        "aggregator.autoscaling.enabled=true,aggregator.autoscaling.maxReplicas=9",
        "9 workers on 4",
    ),
    "an ingress without TLS": (
        "api.ingress.enabled=true,api.ingress.host=a.example.com",
        "api.ingress.tlsSecret",
    ),
    "a value that there is not": ("aggregator.replica=3", "replica"),
    "a number for a text": ("settings.LANES=64", "LANES"),
    "a digest that is none": ("image.digest=latest", "digest"),
}


@pytest.mark.parametrize(("setting", "words"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_right_is_refused(setting: str, words: str) -> None:
    done = template(CHART, "--values", VALUES["least"], "--set", setting)
    assert done.returncode != 0, done.stdout
    assert words in done.stderr


NOTES: Final = """
{{ define "notes" }}%s{{ end }}
apiVersion: v1
kind: ConfigMap
metadata: {name: notes}
data: {notes: {{ include "notes" . | quote }}}
"""
"""helm shows them after an installation alone, which takes a cluster: here they are a manifest's text."""


def test_the_notes_name_what_is_there(tmp_path: Path) -> None:
    """Commands by the names of this release."""
    chart = shutil.copytree(CHART, tmp_path / "ses-metrics")
    (chart / "templates" / "notes.yaml").write_text(NOTES % (CHART / "templates" / "NOTES.txt").read_text())
    found, notes = _noted(chart, "least")
    named = set(re.findall(rf"{NAME}-[a-z-]+[a-z]", notes))
    assert named == {f"{NAME}-{each}" for each in ("api", "verify", "rebuild", "ingest")}
    assert named <= {each["metadata"]["name"] for each in found}
    assert "Nobody is woken yet" in notes
    assert "There is no archive: every record stays in the topic for ever" in notes
    assert "There is no archive" not in _noted(chart, "lake")[1]


def _noted(chart: Path, values: str) -> tuple[list[Manifest], str]:
    """What a chart with the manifest of the notes renders, and the notes."""
    found = rendered(chart, "--values", VALUES[values])
    [notes] = [each["data"]["notes"] for each in found if "notes" in each.get("data", ())]
    return found, notes
