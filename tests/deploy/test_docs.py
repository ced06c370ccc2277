"""What README, runbook and the rest say of the world outside holds, and their links lead somewhere."""

import json
import re
from pathlib import Path

import pytest
import yaml

from deploy.stack import CHECKOUT

POLICY = CHECKOUT / "deploy" / "sns-delivery-policy.json"
PAGES = ["README.md", "CONTRIBUTING.md", "deploy/runbook.md", "deploy/security.md", "deploy/tagging.md"]
LINK = re.compile(r"\]\(([^)\s]+)\)")


def anchors(page: Path) -> set[str]:
    """The fragments by which GitHub knows a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def test_the_delivery_policy_is_one_that_sns_takes() -> None:
    """It tries for nearly the hour that SNS allows, and each phase is within SNS's own bounds.

    Amazon SNS Developer Guide, "Amazon SNS message delivery retries": at most 100 retries and 3,600 s.
    """
    policy = json.loads(POLICY.read_text())
    assert set(policy) == {"healthyRetryPolicy"}
    retry = policy["healthyRetryPolicy"]
    assert 1 <= retry["minDelayTarget"] <= retry["maxDelayTarget"] <= 3_600
    phases = [retry[f"num{phase}Retries"] for phase in ("NoDelay", "MinDelay", "MaxDelay")]
    assert sum(phases) == retry["numRetries"] <= 100, "no phase is left to the backoff function"
    seconds = phases[1] * retry["minDelayTarget"] + phases[2] * retry["maxDelayTarget"]
    assert 3_400 < seconds <= 3_600
    assert retry["backoffFunction"] == "linear"
    reported = (CHECKOUT / "deploy" / "runbook.md").read_text()
    assert f"{seconds // 60} minutes: {retry['numRetries']} more tries" in reported


def test_the_readme_says_what_to_set_on_a_subscription() -> None:
    """Both attributes, with the policy's file; and no page says that SNS tries for an hour by itself."""
    readme = (CHECKOUT / "README.md").read_text()
    connecting = readme.partition("\n## Connecting SES\n")[2].partition("\n## ")[0]
    assert f"--attribute-name DeliveryPolicy --attribute-value file://deploy/{POLICY.name}" in connecting
    assert "--attribute-name RedrivePolicy" in connecting
    for name in (*PAGES, "deploy/alarms.yaml"):
        text = " ".join((CHECKOUT / name).read_text().split())
        assert not re.search(r"SNS (re)?tries (again )?for an hour|hour for which SNS tries", text), name


def test_the_readme_says_what_must_stand_around_it() -> None:
    """What the programs cannot see to themselves; and the broker that we ship does as we say."""
    readme = " ".join((CHECKOUT / "README.md").read_text().partition("\n## Security\n")[2].split())
    settings = ("min.insync.replicas=2", "unclean.leader.election.enable=false")
    for said in ("A proxy that ends TLS", "Whoever may write `api-keys` opens every tenant", *settings):
        assert said in readme
    security = (CHECKOUT / "deploy" / "security.md").read_text()
    assert f"--add-config {','.join(settings)}" in security
    compose = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())
    broker = compose["services"]["kafka"]["environment"]
    assert broker["KAFKA_UNCLEAN_LEADER_ELECTION_ENABLE"] == "false"
    assert broker["KAFKA_MIN_INSYNC_REPLICAS"] == broker["KAFKA_DEFAULT_REPLICATION_FACTOR"] == "1"


@pytest.mark.parametrize("name", PAGES)
def test_links_lead_somewhere(name: str) -> None:
    """To a file of the checkout, and to a heading of it where they name one."""
    page = CHECKOUT / name
    links = [link for link in LINK.findall(page.read_text()) if "://" not in link]
    for link in links:
        path, _, anchor = link.partition("#")
        target = page.parent / path if path else page
        assert target.exists(), link
        assert not anchor or anchor in anchors(target), link
