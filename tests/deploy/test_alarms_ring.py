"""Each alarm rings on its fault, from a cold start too, and is silent otherwise: `promtool` proves it."""

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from deploy.stack import CHECKOUT
from tests import prometheus
from tests.deploy.alarm_cases import FAULTS, HEALTHY, MINUTES, SILENT, Case
from tests.deploy.test_alarms import METRICS, RULES

pytestmark = pytest.mark.programs

ALARMS = [rule["alert"] for rule in RULES]


def written(name: str, case: Case) -> dict[str, Any]:
    """A case in the words of promtool."""
    values = {
        series: samples for series, samples in {**HEALTHY, **case.changes}.items() if samples is not None
    }
    looks = case.rings or {minute: {} for minute in MINUTES}
    return {
        "name": name,
        "interval": "15s",
        "input_series": [{"series": series, "values": samples} for series, samples in values.items()],
        "promql_expr_test": [
            {
                "expr": f'count by (alertname) (ALERTS{{alertstate="firing",alertname="{alarm}"}})',
                "eval_time": f"{int(minute * 60)}s",
                "exp_samples": [
                    {"labels": f'{{alertname="{alarm}"}}', "value": count}
                    for ringing, count in rings.items()
                    if ringing == alarm
                ],
            }
            for minute, rings in looks.items()
            for alarm in ALARMS
        ],
    }


def prove(tmp_path: Path, name: str, case: Case) -> None:
    """Run promtool; fail with what it says."""
    rules = str(CHECKOUT / "deploy" / "alarms.yaml")
    test = {"rule_files": [rules], "evaluation_interval": "15s", "tests": [written(name, case)]}
    path = tmp_path / "alarms.test.yaml"
    path.write_text(yaml.safe_dump(test, sort_keys=False, width=1_000))
    done = subprocess.run(
        [prometheus.program("promtool"), "test", "rules", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", FAULTS)
def test_an_alarm_rings_on_its_fault_and_no_other_does(tmp_path: Path, name: str) -> None:
    """And not before its time: what rings is looked at at several minutes."""
    alarm = name.partition(":")[0]
    assert alarm in ALARMS
    assert any(alarm in rings for rings in FAULTS[name].rings.values())
    prove(tmp_path, name, FAULTS[name])


@pytest.mark.parametrize("name", SILENT)
def test_no_alarm_rings_while_all_is_well(tmp_path: Path, name: str) -> None:
    prove(tmp_path, name, SILENT[name])


def test_each_alarm_has_a_fault() -> None:
    """Of its name; that all are silent otherwise, each silent world shows of all of them."""
    assert {name.partition(":")[0] for name in FAULTS} == set(ALARMS)
    assert not any(case.rings for case in SILENT.values())


def test_the_worlds_are_made_of_series_that_exist() -> None:
    """Else the proof would be of alarms for another program."""
    named = {series.partition("{")[0] for case in FAULTS.values() for series in {**HEALTHY, **case.changes}}
    assert named - {"up", "process_start_time_seconds"} <= METRICS
