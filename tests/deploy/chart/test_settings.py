"""What the chart knows of the programs is what they are: settings, ports, probes, commands, stop times."""

import asyncio
from typing import Any, Final

import httpx
import pytest
import yaml
from pydantic_settings import BaseSettings

from aggregator.config import AggregatorSettings, ArchiveSettings, AuditSettings, ProofSettings
from aggregator.metrics import AUDIT
from aggregator.probes import serve
from aggregator.worker.process import STOP_WITHIN_S
from api.app import create_app as create_api
from api.config import ApiSettings
from deploy.stack import PORTS
from ingest.config import IngestSettings
from ingest.http.app import create_app as create_ingest
from schemas.shared.metrics_port import OPERATORS
from schemas.shared.settings import KafkaSettings, RedisSettings, ServerSettings, TopicsSettings
from schemas.topics import EVENTS
from tests.api.conftest import FixedKeys
from tests.deploy.chart.rendering import (
    CHART,
    PROGRAMS,
    VALUES,
    container,
    environment,
    manifests,
    of_kind,
    pods,
)
from tests.ingest.support import Recorder

pytestmark = pytest.mark.programs

SETTINGS: Final[dict[str, type[BaseSettings]]] = {
    "topics": TopicsSettings,
    "ingest": IngestSettings,
    "aggregator": AggregatorSettings,
    "api": ApiSettings,
    "audit": AuditSettings,
    "archive": ArchiveSettings,
    "rebuild": AggregatorSettings,
    "verify": ProofSettings,
}
TABLE: Final = PROGRAMS["programs"]
DEPLOYED: Final = [name for name, facts in TABLE.items() if facts["kind"] == "deployment"]
OF_THE_CHART: Final = ("_PORT", "_LOCATION", "SNS_CERTIFICATE_DIR")
"""Ports are the same in every pod, and the chart knows where it mounts files: no values name these."""


def names(settings: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in settings.model_fields}


def known(program: str) -> set[str]:
    facts = TABLE[program]
    of_groups = [name for group in facts["groups"] for name in PROGRAMS["groups"][group]]
    return {*facts["required"], *facts.get("optional", ()), *of_groups}


@pytest.mark.parametrize("program", SETTINGS)
def test_a_program_can_be_given_its_settings_and_no_others(program: str) -> None:
    unused = set(TABLE[program].get("unused", ()))
    assert known(program) | unused == {
        name for name in names(SETTINGS[program]) if not name.endswith(OF_THE_CHART)
    }
    assert not known(program) & unused
    assert set(TABLE) == set(SETTINGS)


@pytest.mark.parametrize("program", SETTINGS)
def test_what_is_never_right_in_a_pod_is_required(program: str) -> None:
    """Where the default names this machine, or a program refuses everything or does not start with it."""
    settings, required = SETTINGS[program], set(TABLE[program]["required"])
    local = {
        name.upper() for name, field in settings.model_fields.items() if "localhost" in str(field.default)
    }
    assert local - set(TABLE[program].get("unused", ())) <= required
    assert required - local == {
        "ingest": {"SNS_TOPIC_ARNS"},
        "archive": {"ARCHIVE_URL", "RECIPIENT_KEY"},
    }.get(program, set())


@pytest.mark.parametrize("values", VALUES)
def test_no_pod_has_a_setting_that_its_program_does_not_know(values: str) -> None:
    for program, pod in pods(manifests(values)).items():
        given = environment(pod)
        assert set(given) <= names(SETTINGS[program]), program
        assert set(TABLE[program]["required"]) <= set(given), program


@pytest.mark.parametrize("values", VALUES)
def test_the_programs_take_what_they_are_given(values: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each one's settings are read from its pod's environment; files and secrets are of the cluster."""
    secrets = {"KAFKA_SASL_PASSWORD": "x", "REDIS_URL": "rediss://valkey:6379", "RECIPIENT_KEY": "00" * 16}
    monkeypatch.setattr("schemas.shared.settings.client_context", lambda *_: None)
    for program, pod in pods(manifests(values)).items():
        given = environment(pod)
        for name in names(SETTINGS[program]):
            monkeypatch.delenv(name, raising=False)
        for name, value in given.items():
            if name != "SNS_CERTIFICATE_DIR":
                monkeypatch.setenv(name, secrets[name] if value is None else value)
        SETTINGS[program]()
        for name in given:
            monkeypatch.delenv(name, raising=False)


def test_an_own_setting_goes_before_the_common_one() -> None:
    found = pods(manifests("whole"))
    users = {name: environment(pod)["KAFKA_SASL_USERNAME"] for name, pod in found.items()}
    assert users == dict.fromkeys(found, "ses-worker") | {"topics": "ses-topics", "ingest": "ses-ingest"}
    keys = {
        name: each["valueFrom"]["secretKeyRef"]["key"]
        for name, pod in found.items()
        for each in container(pod)["env"]
        if each["name"] == "KAFKA_SASL_PASSWORD"
    }
    assert keys == dict.fromkeys(found, "kafka-worker") | {"topics": "kafka-topics", "ingest": "kafka-ingest"}
    assert environment(found["aggregator"])["IDS_WARNING"] == "1000000"


@pytest.mark.parametrize("program", SETTINGS)
def test_a_pod_listens_where_its_program_is_told_to(program: str) -> None:
    """The ports are the programs' own, and none comes from what Kubernetes adds of services (`API_PORT`)."""
    pod, facts = pods(manifests("whole"))[program], TABLE[program]
    given = environment(pod)
    ports = {facts[name]["setting"]: facts[name]["port"] for name in ("http", "metrics") if name in facts}
    assert {name: int(value or 0) for name, value in given.items() if name.endswith("_PORT")} == ports
    assert container(pod).get("ports", []) == [
        {"name": name, "containerPort": facts[name]["port"]} for name in ("http", "metrics") if name in facts
    ]
    defaults = {name: field.default for name, field in SETTINGS[program].model_fields.items()}
    for name, port in ports.items():
        assert defaults[name.lower()] in (None, port)
    assert pod["spec"]["enableServiceLinks"] is False
    assert container(pod)["command"] == facts["command"]
    if program in PORTS:
        assert (facts.get("http") or facts["metrics"]) == {
            "setting": PORTS[program][0],
            "port": PORTS[program][1],
        }


async def answered_by_aggregators(paths: set[str]) -> set[str]:
    servers, port = await serve(0, None, lambda: None, AUDIT)
    try:
        async with httpx.AsyncClient(trust_env=False) as client:
            answers = {path: await client.get(f"http://127.0.0.1:{port}{path}") for path in paths}
    finally:
        await servers.aclose()
    return {path for path, answer in answers.items() if answer.status_code == 200}


@pytest.mark.parametrize("program", DEPLOYED)
def test_probes_ask_for_what_the_program_answers(program: str) -> None:
    """By its path and on a port that it has; `/livez` alone decides whether it is killed."""
    told = container(pods(manifests("whole"))[program])
    asked = {kind: told[f"{kind}Probe"]["httpGet"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: get["path"] for kind, get in asked.items()} == {
        "startup": "/livez",
        "liveness": "/livez",
        "readiness": "/readyz" if program in ("ingest", "aggregator", "api") else "/livez",
    }
    ports = {each["name"] for each in told["ports"]}
    assert {get["port"] for get in asked.values()} == {"http" if "http" in ports else "metrics"}
    paths = {get["path"] for get in asked.values()} | {"/metrics"}
    if program in ("ingest", "api"):
        app: Any = (
            create_ingest(IngestSettings(), publisher=Recorder())
            if program == "ingest"
            else create_api(ApiSettings(), keys=FixedKeys())
        )
        assert paths <= {getattr(route, "path", None) for route in app.routes}
        assert paths <= OPERATORS
    else:
        assert asyncio.run(answered_by_aggregators(paths)) == paths


@pytest.mark.parametrize("program", DEPLOYED)
def test_probes_are_as_patient_as_they_should_be(program: str) -> None:
    """A slow node may take two minutes to start it; a minute of silence kills it, ten seconds take it out."""
    told = container(pods(manifests("whole"))[program])
    probes = {kind: told[f"{kind}Probe"] for kind in ("startup", "liveness", "readiness")}
    assert {kind: each["periodSeconds"] * each["failureThreshold"] for kind, each in probes.items()} == {
        "startup": 120,
        "liveness": 60,
        "readiness": 10,
    }
    assert {each["timeoutSeconds"] for each in probes.values()} == {5}


def test_a_pod_is_given_the_time_that_its_program_takes_to_end() -> None:
    whole, least = pods(manifests("whole")), pods(manifests("least"))
    seconds = {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in whole.items()}
    default = {name: pod["spec"]["terminationGracePeriodSeconds"] for name, pod in least.items()}
    assert seconds["aggregator"] >= 2 * STOP_WITHIN_S
    for program in ("ingest", "api"):
        assert issubclass(SETTINGS[program], ServerSettings)
        assert default[program] == TABLE[program]["stop"] + ServerSettings().shutdown_grace_s
        assert seconds[program] == TABLE[program]["stop"] + 8, "7.5 s, rounded up"


def test_files_are_where_the_settings_say() -> None:
    """Of TLS and of SNS; who does not speak to Redis has nothing of Redis's."""
    for program, pod in pods(manifests("whole")).items():
        given, told = environment(pod), container(pod)
        mounted = {each["mountPath"]: each["name"] for each in told["volumeMounts"]}
        volumes = {each["name"]: each for each in pod["spec"]["volumes"]}
        assert set(mounted.values()) == set(volumes)
        of_all = pod["spec"]["securityContext"]
        assert of_all["fsGroup"] == of_all["runAsGroup"], "a volume is its group's, or it may not write there"
        written = {each["name"] for each in told["volumeMounts"] if not each.get("readOnly")}
        assert written == ({"tmp", "archive"} if program == "archive" else {"tmp"})
        files = {name: value or "" for name, value in given.items() if name.endswith("_LOCATION")}
        for value in files.values():
            assert value.rpartition("/")[0] in mounted
        assert ("REDIS_SSL_KEY_LOCATION" in files) == ("redis" in TABLE[program]["reaches"])
        assert files["KAFKA_SSL_CA_LOCATION"] == "/etc/ses-metrics/kafka/ca.crt"
        assert "KAFKA_SSL_KEY_LOCATION" not in files
        if program == "ingest":
            assert volumes[mounted[given["SNS_CERTIFICATE_DIR"] or ""]]["configMap"] == {
                "name": "sns-certificates"
            }


def test_what_speaks_to_redis_or_kafka_is_known_by_its_settings() -> None:
    for program, facts in TABLE.items():
        unused = set(facts.get("unused", ()))
        for server, settings in (("kafka", KafkaSettings), ("redis", RedisSettings)):
            speaks = issubclass(SETTINGS[program], settings) and f"{server.upper()}_URL" not in unused
            assert (server in facts["reaches"]) == speaks, program
        assert ("https" in facts["reaches"]) == (program == "ingest" or "ARCHIVE_URL" in known(program))


def test_the_archive_lies_on_its_volume_or_where_its_url_says() -> None:
    whole, lake = manifests("whole"), manifests("lake")
    url = environment(pods(whole)["archive"])["ARCHIVE_URL"] or ""
    [mounted] = [
        each for each in container(pods(whole)["archive"])["volumeMounts"] if each["name"] == "archive"
    ]
    assert url == f"file://{mounted['mountPath']}"
    [claim] = of_kind(whole, "PersistentVolumeClaim").values()
    assert claim["metadata"]["annotations"]["helm.sh/resource-policy"] == "keep"
    volumes = {each["name"]: each for each in pods(whole)["archive"]["spec"]["volumes"]}
    assert volumes["archive"]["persistentVolumeClaim"]["claimName"] == claim["metadata"]["name"]
    assert environment(pods(lake)["archive"])["ARCHIVE_URL"] == "s3://bucket/ses-metrics"
    assert of_kind(lake, "PersistentVolumeClaim") == {}


def test_the_archive_trims_the_topic_unless_told_not_to() -> None:
    command = container(pods(manifests("lake"))["archive"])
    assert (command["command"][-1], command["args"]) == ("archive", ["--trim-days", "100"])
    other = container(pods(manifests("lake", "archive.trimDays=30"))["archive"])
    assert other["args"] == ["--trim-days", "30"]
    assert "args" not in container(pods(manifests("lake", "archive.trimDays=0"))["archive"])
    assert [name for name, pod in pods(manifests("whole")).items() if "args" in container(pod)] == ["archive"]


def test_what_is_said_of_all_pods_is_in_each() -> None:
    values = yaml.safe_load(VALUES["whole"].read_text())
    for program, pod in pods(manifests("whole")).items():
        spec = pod["spec"]
        assert spec["imagePullSecrets"] == values["imagePullSecrets"], program
        assert spec["nodeSelector"] == values["pods"]["nodeSelector"]
        assert spec["tolerations"] == values["pods"]["tolerations"]
        assert pod["metadata"]["annotations"] == values["pods"]["annotations"]
        assert container(pod).get("envFrom") == values.get(program, {}).get("envFrom"), program


def test_partitions_and_image_are_those_of_the_programs() -> None:
    values = yaml.safe_load((CHART / "values.yaml").read_text())
    assert values["aggregator"]["partitions"] == EVENTS.partitions
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    image = container(pods(manifests("least"))["api"])["image"]
    assert image == f"ses-metrics:{chart['appVersion']}"
