"""What of the container files can be checked without an engine: they wire what the local stack wires."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from pydantic_settings import BaseSettings

from aggregator.config import AggregatorSettings, AuditSettings
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
NOT_IN_COMPOSE = re.compile(r"KAFKA_(SECURITY|SASL|SSL)_|REDIS_(CLUSTER$|SSL_)|[A-Z]+_PORT$|HEALTH_METRICS$")
"""Its own Kafka and Valkey need no login, and inside a container every port is the default one; so
none is apart for metrics that name tenants."""


def names(settings: type[BaseSettings]) -> set[str]:
    return {name.upper() for name in settings.model_fields if not NOT_IN_COMPOSE.match(name.upper())}


def test_the_services_are_the_parts() -> None:
    assert set(SERVICES) == {"kafka", "valkey", "topics", "audit", *PROGRAMS}
    assert set(COMPOSE["volumes"]) == {"kafka-data", "valkey-data"}
    assert SERVICES["kafka"]["image"].endswith(f":{VERSION}")
    for name in {*SERVICES} - {"topics"}:
        assert SERVICES[name]["healthcheck"]["test"], name


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_gets_its_settings_and_no_others(program: str) -> None:
    assert set(SERVICES[program]["environment"]) == names(PROGRAMS[program])
    assert SERVICES[program]["command"] == ["python", "-m", program]
    _, port = PORTS[program]
    assert f"http://localhost:{port}/readyz" in SERVICES[program]["healthcheck"]["test"][-1]


def test_audit_counts_by_the_rules_of_the_worker_and_does_nothing_else() -> None:
    audit = SERVICES["audit"]
    assert set(audit["environment"]) == names(AuditSettings)
    assert audit["command"] == ["python", "-m", "aggregator", "audit"]
    port = AuditSettings.model_fields["audit_port"].default
    assert f"http://localhost:{port}/livez" in audit["healthcheck"]["test"][-1]


def test_the_topics_are_made_first() -> None:
    assert set(SERVICES["topics"]["environment"]) == names(TopicsSettings)
    for program in [*PROGRAMS, "audit"]:
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
    assert [line for line in lines if line.startswith("USER ")] == ["USER 10001"]


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
