"""The wheel, installed where nothing else of ours can be seen: all is in it, and its commands run.

The environment holds the packages of `deploy/requirements-runtime.txt` and no others: links to the very
files that are installed here, so that nothing is fetched. Neither the checkout nor its editable installation
is on its path, and the programs run in an empty folder.
"""

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, distribution
from pathlib import Path
from venv import EnvBuilder
from zipfile import ZipFile

import httpx
import pytest

from deploy.processes import Child, free_port
from deploy.signing import Signer
from deploy.stack import CHECKOUT
from deploy.traffic import iso
from deploy.valkey import Valkey
from tests.deploy.containers.test_files import packages
from tests.pipeline import webhook
from tests.pipeline.programs import LIMIT_S, wait_until

PACKAGES = ("aggregator", "api", "ingest", "schemas")
PROGRAMS = {"ingest": "INGEST_PORT", "aggregator": "AGGREGATOR_PORT", "api": "API_PORT"}


def run(*command: str | Path, environment: dict[str, str] | None = None, folder: Path = CHECKOUT) -> str:
    """Run a command that must end well. Returns: its stdout."""
    ended = subprocess.run(
        command, env=environment, cwd=folder, capture_output=True, text=True, timeout=LIMIT_S, check=False
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout


pytestmark = pytest.mark.programs


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel of this checkout, freshly built."""
    folder = tmp_path_factory.mktemp("wheel")
    run(sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", folder)
    [built] = folder.iterdir()
    return built


@pytest.fixture(scope="module")
def commands(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the commands of an environment in which the wheel is installed.

    pip finds every requirement of the wheel among the packages of the lock, or fails: it may not fetch any.
    """
    environment = tmp_path_factory.mktemp("environment")
    EnvBuilder(symlinks=True).create(environment)
    link_the_packages_of_the_lock(next(environment.glob("lib/python*/site-packages")))
    python = environment / "bin" / "python"
    pip = (sys.executable, "-m", "pip", "--isolated", "--python", python)
    run(*pip, "install", "--quiet", "--no-index", "--no-compile", wheel)
    return python.parent


def link_the_packages_of_the_lock(site: Path) -> None:
    """Put the files of each package into `site`; those for other machines are not here, and not missed."""
    for name in packages(CHECKOUT / "deploy" / "requirements-runtime.txt"):
        try:
            files = distribution(name).files
        except PackageNotFoundError:
            continue
        for file in files or ():
            if file.parts[0] != "..":  # a command of its own
                link = site / file
                link.parent.mkdir(parents=True, exist_ok=True)
                link.symlink_to(file.locate())


def test_the_wheel_holds_every_file_of_the_packages(wheel: Path) -> None:
    """Scripts of Redis, the page, what others made, the examples, the doctor: and nothing else, no client."""
    held = {name for name in ZipFile(wheel).namelist() if ".dist-info/" not in name}
    there = {
        str(path.relative_to(CHECKOUT))
        for package in (*PACKAGES, "deploy/doctor", "deploy/security")
        for path in (CHECKOUT / package).rglob("*")
        if path.is_file()
        and "__pycache__" not in path.parts
        and CHECKOUT / "api" / "clients" not in path.parents
    }
    assert held == there | {"deploy/__init__.py", "deploy/signing.py"}
    assert {path.rpartition(".")[2] for path in held} >= {"py", "lua", "html", "js", "css", "json", "svg"}


@pytest.mark.parametrize("program", [*PROGRAMS, "topics", "doctor"])
def test_help_names_the_command_as_it_was_called(commands: Path, tmp_path: Path, program: str) -> None:
    called = f"ses-metrics-{program}"
    reported = run(commands / called, "--help", environment={}, folder=tmp_path)
    assert reported.split()[:2] == ["Usage:", called]
    module = program if program in PROGRAMS else f"deploy.{program}"
    assert f"Usage: python -m {module} " in run(sys.executable, "-m", module, "--help")


def test_only_the_wheel_is_seen(commands: Path, tmp_path: Path) -> None:
    """Else a file that the wheel lacks would be found in the checkout."""
    shown = run(
        commands / "python",
        "-c",
        "import sys, aggregator, api, ingest, schemas; print(*sys.path);"
        "print(*{each.__file__ for each in (aggregator, api, ingest, schemas)}, sep='\\n')",
        environment={},
        folder=tmp_path,
    )
    path, *files = shown.splitlines()
    assert str(CHECKOUT) not in path
    assert len(files) == 4
    assert all(file.startswith(str(commands.parent)) for file in files)


@contextmanager
def running(commands: Path, environment: dict[str, str], folder: Path) -> Iterator[None]:
    """The three programs, each of which says that it is ready; all end well."""
    children = {
        name: Child(
            name,
            [commands / f"ses-metrics-{name}"],
            folder.with_name(f"{name}.log"),
            environment=environment,
            directory=folder,
        )
        for name in PROGRAMS
    }
    try:
        for child in children.values():
            child.start()
        for name, child in children.items():
            url = f"http://127.0.0.1:{environment[PROGRAMS[name]]}/readyz"
            wait_until(lambda url=url, child=child: says_ready(url, child), f"{name} is ready")  # type: ignore[misc]
        yield
        for child in children.values():
            child.stop(LIMIT_S)
        assert {name: child.status() for name, child in children.items()} == dict.fromkeys(PROGRAMS, 0)
    finally:
        for child in children.values():
            child.kill()


def says_ready(url: str, child: Child) -> bool:
    child.check()
    try:
        return httpx.get(url, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False


def test_an_event_comes_in_by_the_webhook_and_out_of_the_api(
    commands: Path,
    kafka_bootstrap: str,
    topic_prefix: str,
    valkey_factory: Callable[[], Valkey],
    tmp_path: Path,
) -> None:
    """All of it by the commands of the wheel; the operators' commands recount it and find the same."""
    folder, certificates = tmp_path / "empty", tmp_path / "certificates"
    folder.mkdir()
    certificates.mkdir()
    environment = {
        "PATH": os.defpath,
        "KAFKA_BOOTSTRAP_SERVERS": kafka_bootstrap,
        "REDIS_URL": valkey_factory().url,
        "EVENTS_TOPIC": f"{topic_prefix}events",
        "DEAD_LETTER_TOPIC": f"{topic_prefix}dlq",
        "ERASURES_TOPIC": f"{topic_prefix}erasures",
        "CONSUMER_GROUP": f"{topic_prefix}group",
        "SNS_TOPIC_ARNS": webhook.TOPIC_ARN,
        "SNS_CERTIFICATE_DIR": str(certificates),
        "SHUTDOWN_GRACE_S": "0",
        **{variable: str(free_port()) for variable in PROGRAMS.values()},
    }

    def command(name: str, *arguments: str) -> str:
        return run(commands / f"ses-metrics-{name}", *arguments, environment=environment, folder=folder)

    assert f"{topic_prefix}events" in command("topics")
    signer = Signer.create(certificates)
    with running(commands, environment, folder):
        key = command("api", "keys", "create", "acme").strip()
        asyncio.run(
            webhook.post(
                f"http://127.0.0.1:{environment['INGEST_PORT']}/webhooks/sns", signer, [send_of_now()]
            )
        )
        api = f"http://127.0.0.1:{environment['API_PORT']}"

        def sent() -> int:
            answer = httpx.get(
                f"{api}/api/metrics", headers={"Authorization": f"Bearer {key}"}, trust_env=False
            )
            assert answer.status_code == 200, answer.text
            return int(answer.json()["totals"]["sent"])

        wait_until(lambda: sent() == 1, "the event is counted")
        for page in ("/", "/docs", "/openapi.json"):
            assert httpx.get(api + page, trust_env=False).status_code == 200, page
        command("aggregator", "rebuild", "--processes", "2")
        command("aggregator", "verify")
        assert sent() == 1
    assert list(folder.iterdir()) == []


def send_of_now() -> bytes:
    """The example of a Send to one recipient of the tenant acme, sent at this moment."""
    event = json.loads((CHECKOUT / "schemas" / "examples" / "counted" / "send.json").read_text())
    event["mail"]["timestamp"] = iso(time.time_ns() // 1_000_000)
    return json.dumps(event).encode()
