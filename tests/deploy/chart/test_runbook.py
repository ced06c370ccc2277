"""The runbook's `mail.yaml`: rendered, and compared with the users and Secrets that the documents make."""

import re
from pathlib import Path
from typing import Final

import pytest

from deploy.stack import CHECKOUT
from tests.deploy.chart.rendering import (
    CHART,
    NAME,
    RELEASE,
    Manifest,
    container,
    environment,
    pods,
    rendered,
)

pytestmark = pytest.mark.programs

SECTION: Final = (
    (CHECKOUT / "deploy" / "runbook.md")
    .read_text()
    .partition("\n## On Kubernetes\n")[2]
    .partition("\n## ")[0]
)
SECURITY: Final = CHECKOUT / "deploy" / "security"

USERS: Final = {
    "topics": "ses-topics",
    "ingest": "ses-ingest",
    "aggregator": "ses-worker",
    "api": "ses-api",
    "audit": "ses-verify",
    "verify": "ses-verify",
    "rebuild": "ses-rebuild",
}
"""Of each program, as deploy/security/ gives them their rights."""


@pytest.fixture(scope="module")
def templates(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Manifest]:
    """The pods that it brings."""
    values: Path = tmp_path_factory.mktemp("values") / "mail.yaml"
    values.write_text(SECTION.partition("```yaml\n")[2].partition("```")[0])
    return pods(rendered(CHART, "--values", values))


def made() -> dict[str, dict[str, str]]:
    """What the commands put into each Secret, by its key."""
    commands = re.findall(
        r"^\$ kubectl -n mail create secret generic (\S+) (.+)$", SECTION.replace("\\\n", " "), re.MULTILINE
    )
    return {
        secret: dict(re.findall(r"--from-(?:literal|file)=([\w.-]+)=(\S+)", options))
        for secret, options in commands
    }


def secret_of(template: Manifest, setting: str) -> str:
    """What the Secret holds that a setting of a pod is taken from."""
    [given] = [each for each in container(template)["env"] if each["name"] == setting]
    reference = given["valueFrom"]["secretKeyRef"]
    return made()[reference["name"]][reference["key"]]


def test_each_program_logs_in_as_the_user_that_has_its_rights(templates: dict[str, Manifest]) -> None:
    kafka, redis = (SECURITY / "kafka.sh").read_text(), (SECURITY / "redis.acl").read_text()
    assert {name: environment(pod)["KAFKA_SASL_USERNAME"] for name, pod in templates.items()} == USERS
    for name, template in templates.items():
        user = USERS[name]
        password = f"${user.upper().replace('-', '_')}_PASSWORD"
        assert f'\nuser {user} "{password}"' in kafka
        assert secret_of(template, "KAFKA_SASL_PASSWORD") == f'"{password}"'
        if "REDIS_URL" in environment(template):
            assert f"\nuser {user} " in redis
            assert secret_of(template, "REDIS_URL").startswith(f'"rediss://{user}:{password}@')


def test_each_file_is_in_a_secret_that_was_made(templates: dict[str, Manifest]) -> None:
    for template in templates.values():
        kept = {
            each["name"]: each["secret"]["secretName"]
            for each in template["spec"]["volumes"]
            if "secret" in each
        }
        mounts = {each["mountPath"]: each["name"] for each in container(template)["volumeMounts"]}
        files = [value for name, value in environment(template).items() if name.endswith("_LOCATION")]
        assert files
        for file in files:
            folder, _, key = str(file).rpartition("/")
            assert key in made()[kept[mounts[folder]]]


def test_the_commands_name_what_the_values_bring_and_make_nothing_else(
    templates: dict[str, Manifest],
) -> None:
    """No key of a Secret is for nobody, and what `kubectl` is told to run in is there."""
    asked = [
        each["valueFrom"]["secretKeyRef"]
        for pod in templates.values()
        for each in container(pod)["env"]
        if "valueFrom" in each
    ]
    assert {each["name"] for each in asked} == {"ses-metrics"}
    assert {each["key"] for each in asked} == made()["ses-metrics"].keys()
    assert f"helm upgrade --install {RELEASE} deploy/helm/ses-metrics --namespace mail" in SECTION
    named = {each.removeprefix(f"{NAME}-") for each in re.findall(rf"{NAME}-[a-z]+", SECTION)}
    assert named == {"rebuild", "api", "aggregator", "ingest", "topics"}
    assert named <= templates.keys()
