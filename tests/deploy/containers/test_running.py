"""The image and `compose.yaml`, built and run on an engine of the tests' own.

What they rest on are stand-ins (`stand_ins`), not the official images. One stack for the whole module, from
`up` to `down`: each test leaves it as it found it, with more events counted.
"""

import json
import os
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.demo.senders import SENDERS
from deploy.release.artifacts import Builder
from deploy.stack import CHECKOUT
from schemas.shared.process_metrics import VERSION
from tests.deploy.containers import stand_ins
from tests.deploy.containers.engine import Engine, run, running_engine
from tests.deploy.containers.stack import SERVING, Stack
from tests.deploy.test_alarms import RULES

pytestmark = pytest.mark.programs

PROGRAMS = ("ingest", "aggregator", "audit", "api")
SEEN = "find /seen -type f -printf '%P\\n' | sort"


@pytest.fixture(scope="module")
def engine() -> Iterator[Engine]:
    with running_engine() as engine:
        stand_ins.load(engine)
        yield engine


@pytest.fixture(scope="module")
def stack(engine: Engine, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """All services, and some hundreds of events counted."""
    stack = Stack(engine, tmp_path_factory.mktemp("compose"))
    try:
        stack.up()
        stack.make_keys(sender.tenant for sender in SENDERS)
        stack.deliver(600)
        yield stack
    finally:
        stack.compose("down", "--volumes", "--remove-orphans", "--timeout", "5")


@pytest.mark.parametrize("buildkit", ["0", "1"], ids=["legacy builder", "BuildKit"])
def test_a_build_sees_the_programs_and_nothing_else(engine: Engine, tmp_path: Path, buildkit: str) -> None:
    """`.dockerignore` is heeded by both builders."""
    dockerfile = tmp_path / "Dockerfile"
    dockerfile.write_text(f"FROM {stand_ins.base_image()}\nCOPY . /seen\nCMD {SEEN}\n")
    if buildkit == "1":
        compose = tmp_path / "compose.yaml"
        compose.write_text(
            f"services: {{seen: {{image: seen, build: {{context: {CHECKOUT}, dockerfile: {dockerfile}}}}}}}"
        )
        engine.docker("compose", "--file", compose, "build", "--quiet")
    else:
        engine.docker(
            *("build", "--quiet", "--tag", "seen", "--file", dockerfile, CHECKOUT),
            settings={"DOCKER_BUILDKIT": "0"},
        )
    seen = engine.docker("run", "--rm", "--network", "none", "seen").splitlines()
    assert "api/app.py" in seen
    assert "deploy/requirements-runtime.txt" in seen
    deployed = r"deploy/((doctor|security)/.+|requirements-runtime\.txt|\w+\.py)$"
    ours = re.compile(rf"(ingest|aggregator|api|schemas)/|{deployed}")
    assert [name for name in seen if not ours.match(name)] == []
    assert [name for name in seen if name.startswith("api/clients") or "__pycache__" in name] == []


def test_a_release_has_the_image_that_compose_builds(
    stack: Stack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As a file that an engine loads, by the name that `compose.yaml` asks for."""
    for name, value in (stack.engine.environment | stack.building).items():
        monkeypatch.setenv(name, value)
    Builder(CHECKOUT, tmp_path, 0).image()
    [saved] = tmp_path.iterdir()
    assert saved.name == f"ses-metrics-{VERSION}-image.tar"
    with tarfile.open(saved) as archive:
        file = archive.extractfile("manifest.json")
        assert file is not None
        [image] = json.load(file)
    assert image["RepoTags"] == [stand_ins.SERVICES["topics"]["image"]]


def test_every_service_is_healthy_and_there_is_one_image(stack: Stack) -> None:
    for service in SERVING:
        assert stack.container(service)["State"]["Health"]["Status"] == "healthy", service
    ours = stack.engine.docker(
        "images", "--filter", "reference=ses-metrics*", "--format", "{{.Repository}}:{{.Tag}}"
    )
    assert ours.split() == [stand_ins.SERVICES["topics"]["image"]]
    assert len({stack.container(program)["Image"] for program in PROGRAMS}) == 1


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_program_can_do_no_more_than_it_must(stack: Stack, program: str) -> None:
    """Its own user and group, no capability, nothing to write to but /tmp, bounded memory and threads."""
    look = """
import os, pathlib
lines = pathlib.Path("/proc/1/status").read_text().splitlines()
status = dict(line.split(":\\t", 1) for line in lines)
print(os.getuid(), os.getgid(), *(status[name] for name in ("CapEff", "CapBnd", "NoNewPrivs")))
pathlib.Path("/tmp/mine").write_text("")
for place in ("/app/x", "/opt/venv/x", "/x"):
    try:
        pathlib.Path(place).write_text("")
    except OSError as error:
        print(error.strerror)
"""
    said = stack.compose("exec", "--no-TTY", program, "python", "-c", look).splitlines()
    assert said == [f"10001 10001 {'0' * 16} {'0' * 16} 1", *["Read-only file system"] * 3]
    limits: Any = stack.container(program)["HostConfig"]
    assert 0 < limits["Memory"] <= 2**30
    assert 0 < limits["PidsLimit"] <= 128


def test_this_machine_alone_reaches_two_ports_and_metrics_are_on_neither(stack: Stack) -> None:
    published = {
        service: {
            inside: [each["HostIp"] for each in bound]
            for inside, bound in stack.container(service)["NetworkSettings"]["Ports"].items()
            if bound
        }
        for service in SERVING
    }
    assert {service: ports for service, ports in published.items() if ports} == {
        "ingest": {"8081/tcp": ["127.0.0.1"]},
        "api": {"8080/tcp": ["127.0.0.1"]},
        "prometheus": {"9090/tcp": ["127.0.0.1"]},
    }
    for path, status in {"/readyz": 200, "/metrics": 404}.items():
        assert httpx.get(stack.ingest(path), trust_env=False).status_code == status, path


def test_every_number_is_that_of_a_naive_count(stack: Stack) -> None:
    """What came by the webhook, signed by a pinned certificate, is in the API's answers; `verify` agrees."""
    stack.check()


def test_the_doctor_sees_all_of_it_and_its_event_arrives(stack: Stack) -> None:
    """As the runbook says it: nothing is out of its reach, and an event can be tried without AWS."""
    checks = {each["check"]: each["state"] for each in stack.doctor("--send")["findings"]}
    assert set(checks.values()) == {"ok"}
    assert {f"{name} answers" for name in ("ingest", "aggregator", "api")} <= checks.keys()
    assert "send: in the API" in checks


@pytest.mark.parametrize(
    "services", [("ingest", "api"), ("aggregator", "audit"), ("valkey",), ("kafka",)], ids="+".join
)
def test_what_is_killed_comes_back_and_no_event_is_lost(stack: Stack, services: tuple[str, ...]) -> None:
    stack.crash(*services)
    stack.check()


def test_what_comes_is_archived_and_nothing_is_missing(stack: Stack) -> None:
    """Onto the volume, by the user that the programs are; operators and `audit` find it there."""

    def archived() -> bool:
        return bool(json.loads(stack.operator("aggregator", "archive", "check", "--json"))["rows"])

    stack.wait_until(archived, "there are rows in the archive")
    found = json.loads(stack.operator("aggregator", "archive", "check", "--json"))
    assert found["faults"] == []
    stack.check()
    look = "import pathlib; print(len(list(pathlib.Path('/var/lib/ses-metrics/archive').rglob('*.parquet'))))"
    assert int(stack.compose("exec", "--no-TTY", "audit", "python", "-c", look)) > 0


def test_prometheus_scrapes_every_program_and_knows_the_alarms(stack: Stack) -> None:
    def all_up() -> bool:
        targets = stack.prometheus("targets?state=active")["activeTargets"]
        return {target["labels"]["job"] for target in targets if target["health"] == "up"} == set(PROGRAMS)

    stack.wait_until(all_up, "all four are scraped")
    (group,) = stack.prometheus("rules")["groups"]
    assert [rule["name"] for rule in group["rules"]] == [rule["alert"] for rule in RULES]


def test_a_lost_valkey_is_no_zero_and_is_rebuilt(stack: Stack) -> None:
    """Its volume gone: 503, no numbers; then `rebuild`, and every number is there again."""
    stack.compose("rm", "--stop", "--force", "valkey")
    stack.engine.docker("volume", "rm", "ses-metrics_valkey-data")
    stack.compose("up", "--detach", "--wait", "--no-deps", "valkey")
    tenant = SENDERS[0].tenant
    stack.wait_until(lambda: stack.get(tenant, "/api/metrics").status_code == 503, "the API says 503")
    stack.deliver(50)
    stack.operator("aggregator", "rebuild")
    stack.check()


def test_down_and_up_keeps_everything(stack: Stack) -> None:
    """All end by themselves in time, and start on the data that was there; the keys are the old ones."""
    stack.compose("stop")
    assert {program: stack.container(program)["State"]["ExitCode"] for program in PROGRAMS} == dict.fromkeys(
        PROGRAMS, 0
    )
    stack.compose("down")
    stack.up()
    stack.deliver(50)
    stack.check()


def test_without_an_archive_there_is_no_such_container(stack: Stack) -> None:
    stack.name_no_archive()
    stack.up()
    assert stack.compose("ps", "--all", "--quiet", "archive") == ""
    stack.check()


def test_the_tests_run_on_containers_too(engine: Engine) -> None:
    """`TEST_CONTAINERS=1`: the session's Kafka and Redis are containers, and pass tests that use them."""
    settings = {
        "TEST_CONTAINERS": "1",
        "DOCKER_HOST": engine.host,
        "TESTCONTAINERS_RYUK_DISABLED": "true",  # an image that is not here; we end all ourselves
    }
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "TEST_"))}
    pipeline = "tests/pipeline/test_audit.py::test_the_first_generation_is_waited_for_and_not_for_an_interval"
    tests = [pipeline, "tests/aggregator/counters/test_snapshot.py"]
    said = run(
        [sys.executable, "-m", "pytest", "-n", "0", "-p", "no:cacheprovider", *tests],
        environment={**ours, **settings},
        directory=CHECKOUT,
    )
    assert "kafka: containers" in said
    assert "redis: containers" in said
    assert " skipped" not in said
