"""The alarms speak of metrics that exist, and each has its section in the runbook."""

import re
from typing import Any

import pytest
import yaml
from prometheus_client import REGISTRY, CollectorRegistry

from aggregator.meters import AUDIT
from api.meters import Meters
from deploy.stack import CHECKOUT
from ingest.metrics import Metrics

RUNBOOK = (CHECKOUT / "deploy" / "runbook.md").read_text()
GROUPS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "deploy" / "alarms.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
NAME = re.compile(r"\b(?:aggregator|audit|ingest|api)_[a-z_]+\b")


def names(registry: CollectorRegistry) -> set[str]:
    """Every name under which a registry's metrics are read, `_total`, `_sum` and the like included."""
    found = set()
    for metric in registry.collect():
        found |= {metric.name, f"{metric.name}_total"} if metric.type == "counter" else {metric.name}
        found |= {sample.name for sample in metric.samples}
    return {name for name in found if NAME.fullmatch(name)}


METRICS = names(REGISTRY) | names(AUDIT) | names(Metrics().registry) | names(Meters().registry)
OF_AGGREGATOR = {
    metric.name
    for registry in (REGISTRY, AUDIT)
    for metric in registry.collect()
    if NAME.fullmatch(metric.name)
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alarm_names_metrics_that_exist(rule: dict[str, Any]) -> None:
    """A misspelt metric would be an alarm that never rings."""
    named = set(NAME.findall(rule["expr"]))
    assert named
    assert named <= METRICS


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alarm_has_its_section(rule: dict[str, Any]) -> None:
    """Who is woken finds what to do under the alarm's own name."""
    assert f"\n### {rule['alert']}\n" in RUNBOOK


def test_no_section_is_left_over() -> None:
    """The sections under Alarms are those of the rules, in their order."""
    alarms = RUNBOOK.partition("\n## Alarms\n")[2].partition("\n## ")[0]
    assert re.findall(r"^### (.+)$", alarms, re.MULTILINE) == [rule["alert"] for rule in RULES]


def test_the_runbook_knows_every_metric_of_the_aggregator() -> None:
    """And names none that is not there."""
    assert set(NAME.findall(RUNBOOK)) <= METRICS
    assert OF_AGGREGATOR
    assert {name for name in OF_AGGREGATOR if name not in RUNBOOK} == set()
