"""The alarms speak of metrics that exist, and each has its section in the runbook."""

import re
import subprocess
from typing import Any

import pytest
import yaml
from prometheus_client import Metric

from aggregator.config import ArchiveSettings, AuditSettings
from aggregator.counting.facts import Refusal, Skipped
from aggregator.metrics import ARCHIVE, AUDIT, WORKER
from api.metrics import ApiMetrics, TenantMetrics
from deploy.stack import CHECKOUT, PORTS
from ingest.metrics import IngestMetrics
from tests import prometheus

RUNBOOK = (CHECKOUT / "deploy" / "runbook.md").read_text()
GROUPS: list[dict[str, Any]] = yaml.safe_load((CHECKOUT / "deploy" / "alarms.yaml").read_text())["groups"]
RULES: list[dict[str, Any]] = [rule for group in GROUPS for rule in group["rules"]]
NAME = re.compile(r"\b(?:aggregator|archive|audit|ingest|api)_[a-z_]+\b")


SUFFIXES = {"counter": ("total",), "histogram": ("bucket", "count", "sum")}


def names(metric: Metric) -> set[str]:
    """Every name under which a metric is read, also where it has no sample yet."""
    return {
        metric.name,
        *(f"{metric.name}_{suffix}" for suffix in SUFFIXES.get(metric.type, ())),
        *(sample.name for sample in metric.samples),
    }


OF_API = ApiMetrics().registry
TenantMetrics(OF_API)
REGISTRIES = (WORKER, ARCHIVE, AUDIT, OF_API, IngestMetrics().registry)
"""Of all programs."""

METRICS = {
    name
    for registry in REGISTRIES
    for metric in registry.collect()
    for name in names(metric)
    if NAME.fullmatch(name)
}
OF_AGGREGATOR = {
    metric.name
    for registry in (WORKER, ARCHIVE, AUDIT)
    for metric in registry.collect()
    if NAME.fullmatch(metric.name)
}


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: str(rule["alert"]))
def test_an_alarm_names_metrics_that_exist(rule: dict[str, Any]) -> None:
    """A misspelt metric would be an alarm that never rings."""
    named = set(NAME.findall(rule["expr"]))
    assert named or "up{" in rule["expr"]
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


@pytest.mark.programs
@pytest.mark.parametrize(("what", "name"), [("rules", "alarms.yaml"), ("config", "prometheus.yaml")])
def test_prometheus_can_read_it(what: str, name: str) -> None:
    done = subprocess.run(
        [prometheus.program("promtool"), "check", what, str(CHECKOUT / "deploy" / name)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_alarms_know_the_jobs_of_the_configuration() -> None:
    """`up` and `absent` go by the names of jobs; scraped are the services and ports of `compose.yaml`.

    Of the archive, which not everybody has, the job stands there as a comment.
    """
    config = yaml.safe_load(prometheus.with_archive((CHECKOUT / "deploy" / "prometheus.yaml").read_text()))
    services = yaml.safe_load((CHECKOUT / "deploy" / "compose.yaml").read_text())["services"]
    targets = {}
    for job in config["scrape_configs"]:
        match job:
            case {"static_configs": [{"targets": [target]}]}:
                targets[job["job_name"]] = target
            case {"dns_sd_configs": [{"names": [name], "type": "A", "port": port}]}:
                targets[job["job_name"]] = f"{name}:{port}"
    ports = {name: port for name, (_, port) in PORTS.items()}
    ports["audit"] = AuditSettings.model_fields["audit_port"].default
    ports |= {name: int(services[name]["environment"].get("METRICS_PORT", ports[name])) for name in ports}
    ports["archive"] = ArchiveSettings.model_fields["archive_port"].default
    assert targets == {name: f"{name}:{port}" for name, port in ports.items()}
    jobs = set(re.findall(r'job=~?"([a-z|]+)"', " ".join(rule["expr"] for rule in RULES)))
    assert set("|".join(jobs).split("|")) <= set(targets)


def test_every_known_label_is_born_at_zero() -> None:
    """A series that starts with its first event hides it: `increase` sees a step only after a 0."""
    born = {
        (sample.name, *sample.labels.values())
        for registry in (WORKER, ARCHIVE, AUDIT, IngestMetrics().registry)
        for metric in registry.collect()
        for sample in metric.samples
    }
    for refusal in Refusal:
        assert ("aggregator_dead_letters_total", refusal) in born
    for outcome in ("counted", *Refusal, *Skipped):
        assert ("aggregator_records_total", outcome) in born
    for why in ("gap", "error", "gone", "lost batch", "stalled", "agent", "log", "assigned"):
        assert ("aggregator_resyncs_total", why) in born
    for of in ("records", "files"):
        assert ("archive_files_total", of) in born
    for what in ("new", "repeated"):
        assert ("aggregator_facts_total", what) in born
    for outcome in ("stored", "kafka", "certificate", "unlisted_topic", "too_slow", "disconnected"):
        assert ("ingest_deliveries_total", outcome) in born
    for purpose in ("certificate", "confirmation"):
        assert {("ingest_sns_calls_total", purpose, result) for result in ("ok", "failed")} <= born
