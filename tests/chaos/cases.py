"""The targeted cases as a report: faults that come at one moment, each injected a few times by a test.

A test that takes a place or an arena records in its properties how many events its topic held, and may record
how often it injected its fault.
"""

import subprocess
import sys
import tempfile
import time
from pathlib import Path
from xml.etree import ElementTree as ET

from tests.chaos.report import Report, Row
from tests.pipeline.programs import CHECKOUT

CASES = {
    "tests/chaos/test_targeted.py": {
        "test_a_rollback_that_no_connection_notices": "redis rolled back unnoticed",
        "test_a_rollback_of_silent_lanes": "silent lanes rolled back",
        "test_a_rollback_while_an_answer_is_on_its_way": "redis rolled back before an answer came",
        "test_a_lost_tail_is_made_good_within_15_s": "redis killed, tail lost",
        "test_a_stale_replica_is_promoted": "stale replica promoted",
        "test_wiped_in_the_moment_before_a_call": "redis wiped, a copy put back",
        "test_wiped_while_workers_count": "redis wiped, a copy put back",
        "test_killed_between_a_dead_letter_and_its_move": "worker killed between dead letter and move",
        "test_the_answer_of_an_applied_call_is_lost": "answer of an applied call lost",
        "test_redis_out_of_memory": "redis out of memory",
        "test_redis_that_evicts": "redis set to evict",
        "test_topic_emptied_above_a_checkpoint": "topic emptied above a checkpoint",
        "test_topic_made_anew": "topic deleted and made anew",
        "test_a_record_larger_than_any_may_be": "record larger than any may be",
    },
    "tests/chaos/test_driver.py": {
        "test_one_fault_of_faust[lose]": "fetch lost",
        "test_one_fault_of_faust[skip]": "fetch begins too far on",
        "test_one_fault_of_faust[late]": "fetch comes late",
        "test_one_fault_of_faust[cancel]": "batch lost inside Faust",
        "test_one_fault_of_faust[raise]": "agent raises",
        "test_one_fault_of_faust[break]": "reading a batch raises",
    },
    "tests/pipeline/test_records.py": {
        "test_a_flood_of_unreadable_records_ends_the_worker": "flood of unreadable records",
    },
    "tests/pipeline/test_cluster.py": {
        "test_failovers_in_mid_stream": "failover in a Redis Cluster",
    },
    "tests/pipeline/test_brokers.py": {
        "test_a_leader_is_killed_and_comes_back": "one of three brokers killed",
    },
}
"""For each test that breaks something on purpose, the row of the table; `[...]` only where rows differ."""


def run_cases() -> Report:
    """Run them with pytest, which prints what it does; a failed one stands in `wrong`."""
    began = time.monotonic()
    report = Report(name="targeted cases", seconds=0.0, events=0)
    with tempfile.TemporaryDirectory(prefix="ses-metrics-cases-") as directory:
        results = Path(directory) / "results.xml"
        # The family of the file that has room for what a test records of itself.
        status = run_pytest("-q", f"--junit-xml={results}", "-o", "junit_family=xunit1")
        read(results, report)
        if status and not report.wrong:
            report.wrong.append(f"pytest ended with status {status}")
    report.seconds = time.monotonic() - began
    return report


def run_pytest(*options: str) -> int:
    """Run pytest on the cases; returns its exit status, which is not 0 where a case is not there."""
    nodes = [f"{file}::{case}" for file, cases in CASES.items() for case in cases]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, *nodes], cwd=CHECKOUT, check=False
    ).returncode


def read(results: Path, report: Report) -> None:
    """Enter what pytest wrote."""
    names = {name: row for cases in CASES.values() for name, row in cases.items()}
    for case in ET.parse(results).iter("testcase"):  # noqa: S314  # written by pytest just now
        name = case.get("name", "")
        if case.find("failure") is not None or case.find("error") is not None:
            report.wrong.append(f"{name} failed")
        reported = {each.get("name"): int(each.get("value", "0")) for each in case.iter("property")}
        row = report.rows.setdefault(names.get(name) or names[name.partition("[")[0]], Row())
        row.times += reported.get("times", 1)
        row.events += reported.get("events", 0)
        report.events += reported.get("events", 0)
