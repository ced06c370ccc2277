"""The snippets of `deploy/tagging.md` run, and the tags that they set are those that are counted for."""

import json
import re
import subprocess
import sys
from pathlib import Path
from random import Random
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest

from aggregator.config import AggregatorSettings
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from deploy import traffic
from deploy.stack import CHECKOUT
from tests.debian import installed, skip_but_not_in_ci

PAGE = (CHECKOUT / "deploy" / "tagging.md").read_text()
SENT_MS = 1_790_000_000_000

LOADS = """
export async function resolve(name, context, next) {
  const made_up = {
    "@aws-sdk/client-sesv2": "export class SESv2Client {}; export class SendEmailCommand {};",
    nodemailer: `export default {
      createTransport: ({ SES }) => ({
        sendMail: async (mail) => console.log(JSON.stringify({ ...mail.ses, parts: Object.keys(SES) })),
      }),
    };`,
  };
  return name in made_up
    ? { url: `data:text/javascript,${encodeURIComponent(made_up[name])}`, shortCircuit: true }
    : next(name, context);
}
"""
"""Stands in for the two packages: prints what would go to SES."""


def snippet(language: str) -> str:
    (found,) = re.findall(rf"```{language}\n(.*?)```", PAGE, re.DOTALL)
    return str(found)


def counted_for(tags: dict[str, str]) -> tuple[str | None, ...]:
    """The tenant, sequence, template and campaign of a mail with these tags, by the aggregator's decoder."""
    mail = traffic.mail_of(
        Random(1),
        name="A",
        domain="a.example",
        subject="B",
        tags=tags,
        people=["c@d.example"],
        sent_ms=SENT_MS,
    )
    names = (("sequence", "sequence"), ("template", "template"), ("campaign", "campaign"))
    outcome = Decoder(Rules("tenant", names)).read(json.dumps(traffic.send(mail)).encode(), SENT_MS)
    assert isinstance(outcome, Facts)
    return outcome.scopes.tenant, *outcome.scopes.ids


def pairs(tags: list[dict[str, str]]) -> dict[str, str]:
    return {tag["Name"]: tag["Value"] for tag in tags}


def test_boto3(monkeypatch: pytest.MonkeyPatch) -> None:
    """As the service's own description of SendEmail has it: EmailTags, each with a Name and a Value."""
    calls: list[Any] = []
    boto3 = ModuleType("boto3")
    boto3.client = lambda name: SimpleNamespace(  # type: ignore[attr-defined]
        send_email=lambda **parameters: calls.append((name, parameters))
    )
    monkeypatch.setitem(sys.modules, "boto3", boto3)
    exec(snippet("python"), {})  # noqa: S102 - a text of our own
    ((name, parameters),) = calls
    assert name == "sesv2"
    assert parameters["ConfigurationSetName"] == "product-mail"
    tags = pairs(parameters["EmailTags"])
    assert counted_for(tags) == ("acme", "welcome", "welcome-day-0", "spring-2026")


@pytest.mark.programs
def test_nodemailer(tmp_path: Path) -> None:
    node = installed(("node",), "nodejs")
    if node is None:
        skip_but_not_in_ci("the snippet of nodemailer wants node")
    (tmp_path / "loads.mjs").write_text(LOADS)
    (tmp_path / "begin.mjs").write_text(
        'import { register } from "node:module";\nregister("./loads.mjs", import.meta.url);\n'
    )
    (tmp_path / "mail.mjs").write_text(snippet("javascript"))
    done = subprocess.run(
        [node, "--import", "./begin.mjs", "mail.mjs"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    ses = json.loads(done.stdout)
    assert ses["parts"] == ["sesClient", "SendEmailCommand"]
    assert ses["ConfigurationSetName"] == "product-mail"
    assert counted_for(pairs(ses["EmailTags"])) == ("acme", None, "welcome-day-0", None)


def test_headers() -> None:
    (line,) = re.findall(r"^X-SES-MESSAGE-TAGS: (.+)$", PAGE, re.MULTILINE)
    tags = dict(pair.split("=") for pair in line.split(", "))
    assert counted_for(tags) == ("acme", "welcome", "welcome-day-0", None)


def test_a_configuration_set_can_be_the_tenant(monkeypatch: pytest.MonkeyPatch) -> None:
    """By the setting that the page names, of a mail without any tag of its own."""
    (said,) = re.findall(r"^\$ TENANT_TAG=(\S+) python -m aggregator$", PAGE, re.MULTILINE)
    monkeypatch.setenv("TENANT_TAG", said)
    rules = AggregatorSettings().rules
    mail = traffic.mail_of(
        Random(1), name="A", domain="a.example", subject="B", tags={}, people=["c@d.example"], sent_ms=SENT_MS
    )
    outcome = Decoder(rules).read(json.dumps(traffic.send(mail)).encode(), SENT_MS)
    assert isinstance(outcome, Facts)
    assert outcome.scopes.tenant == "product-mail"
