"""`make run` keeps its promises: a full page at once, numbers that are true, a second run that goes on."""

import json
import re
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest

from deploy.demo import past
from deploy.demo.__main__ import SEED
from deploy.demo.past import Progress
from deploy.demo.plan import PAST_DAYS, SCOPE_TAGS, Plan
from deploy.demo.senders import SENDERS
from deploy.demo.timeline import Planned
from deploy.run import SETTINGS, TOPIC_ARN, demo_settings
from deploy.stack import CHECKOUT
from deploy.traffic import DAY
from tests.deploy.test_processes import alive
from tests.deploy.test_stack import Running, environment, started
from tests.pipeline import oracle
from tests.pipeline.place import time_of
from tests.pipeline.programs import wait_until

RUN = """
import os, sys
from pathlib import Path
from deploy.run import run
sys.exit(run(os.environ, Path(sys.argv[1])))
"""
PRINTED = "harbor-books"
LINE = re.compile(rf"^{PRINTED}: sent (\d+) delivered", re.MULTILINE)
OF_THE_PAST = 30_000
"""Less than that tenant sends in the past 90 days. A line of an earlier moment may say less."""

KEY = re.compile(r"(?:API key|key) of (\S+): (\S+)")


def wait_for(running: Running, holds: Callable[[], bool], what: str) -> None:
    """Wait, but not for a demo that has ended. It takes a twentieth of the limit on a quiet machine."""
    wait_until(lambda: running.process.poll() is not None or holds(), what, limit_s=300)
    assert running.process.poll() is None, running.output.read_text()


@dataclass
class Asking:
    """The API of a demo that runs, with the keys that it printed."""

    running: Running
    client: httpx.Client

    @property
    def keys(self) -> dict[str, str]:
        return dict(KEY.findall(self.running.output.read_text()))

    def printed(self) -> list[int]:
        """The numbers of sent of one tenant that it has printed, one at least."""

        def numbers() -> list[int]:
            return [int(sent) for sent in LINE.findall(self.running.output.read_text())]

        wait_for(self.running, lambda: bool(numbers()), "it prints totals")
        return numbers()

    def body(self, tenant: str, path: str = "", **parameters: str) -> Any:
        headers = {"authorization": f"Bearer {self.keys[tenant]}"}
        answer = self.client.get(f"/api/metrics{path}", params=parameters, headers=headers)
        assert answer.status_code == 200, answer.text
        return answer.json()


@contextmanager
def counted(local: Path) -> Iterator[Asking]:
    """The demo, once its past is counted; ended as Ctrl-C ends it."""
    log = local / "logs" / "demo.log"
    with started(RUN, local, environment()) as running:
        addresses = running.wait_until_up()
        with httpx.Client(base_url=addresses["api"], trust_env=False, timeout=30) as client:
            asking = Asking(running, client)
            wait_for(running, lambda: len(asking.keys) == len(SENDERS), "it prints the keys")
            wait_for(running, lambda: "events of the past were sent" in log.read_text(), "all is sent")
            sent = oracle.iso(datetime.now(UTC))
            wait_for(
                running, lambda: (asking.body(PRINTED)["complete_through"] or "") >= sent, "all is counted"
            )
            yield asking
        running.process.terminate()
        assert running.end() == 0, running.output.read_text()
    running.output.unlink()


def kill_while_the_past_is_sent(local: Path) -> None:
    progress = local / "demo" / "progress.json"
    with started(RUN, local, environment()) as running:
        wait_for(running, progress.exists, "it notes how far it has come")
        children = running.children()
        running.process.kill()
        running.end()
        wait_until(lambda: not any(map(alive, children.values())), "its parts end")
    through_ms = Progress.load(progress, 0).through_ms
    assert through_ms < time.time_ns() // 1_000_000 - DAY, "it was too late to kill it"
    running.output.unlink()
    running.file.unlink()  # the next run removes it, but perhaps after one has looked for it


def check(asking: Asking, count: oracle.Count, first: datetime, last: datetime) -> None:
    """Compare every day of a range, of every scope, with a count from the seed alone."""
    span = {"from": oracle.iso(first), "to": oracle.iso(last)}
    for sender in SENDERS:
        totals: dict[str, dict[str, Any]] = {name: {} for name in SCOPE_TAGS}
        for scope in count.scopes(sender.tenant):
            _, name, id_ = scope
            expected = count.body(scope, "day", first, last)
            assert len(expected["timeseries"]) in {PAST_DAYS, PAST_DAYS + 1}
            body = asking.body(sender.tenant, f"/by/{name}/{id_}" if id_ else "", **span)
            assert {each: body[each] for each in expected} == expected, scope
            if name in totals and any(expected["totals"].values()):
                totals[name][id_] = expected["totals"]
        for name, expected in totals.items():
            body = asking.body(sender.tenant, group_by=name, limit="100", **span)
            assert {group.pop("id"): group for group in body["groups"]} == expected


@pytest.mark.programs
def test_a_run_has_a_true_history_and_goes_on(tmp_path: Path) -> None:
    """90 days, recounted from the seed alone, though the first run was killed while it sent them.

    After that a next run has the same keys and no smaller totals.
    """
    local = tmp_path / "local"
    last = oracle.start_of("hour", datetime.now(UTC)) - timedelta(milliseconds=1)
    kill_while_the_past_is_sent(local)
    plan = Plan(SEED, Progress.load(local / "demo" / "progress.json", 0).first_day)
    first = time_of(plan.oldest_day * DAY)
    records = past.records(Planned(plan), 0, time.time_ns() // 1_000_000)
    count = oracle.count(((each.value, time_of(each.time_ms)) for each in records), oracle.PAGE | SCOPE_TAGS)
    with counted(local) as asking:
        check(asking, count, first, last)
        wait_for(asking.running, lambda: asking.printed()[-1] > OF_THE_PAST, "it prints what it has counted")
        keys, sent = asking.keys, asking.printed()[-1]
        assert SETTINGS["PAGE_NOTICE"] in asking.client.get("/").text
    with counted(local) as asking:
        assert asking.keys == keys
        assert asking.printed()[0] >= sent
        check(asking, count, first, last)
        check_doctor(local)


def check_doctor(local: Path) -> None:
    """With the settings that the run wrote down nothing is found, and a test event gets through."""
    command = [
        sys.executable,
        "-m",
        "deploy.doctor",
        "--env-file",
        str(local / "stack.env"),
        "--send",
        "--json",
    ]
    ended = subprocess.run(command, cwd=CHECKOUT, env={}, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "send: in the API" in {each["check"] for each in json.loads(ended.stdout)["findings"]}


def test_the_environment_goes_before_the_demo(tmp_path: Path) -> None:
    """But for the certificates; topics that it lists are kept beside the demo's."""
    mine = "arn:aws:sns:eu-west-1:111111111111:mine"
    assert demo_settings({"SNS_TOPIC_ARNS": mine}, tmp_path)["SNS_TOPIC_ARNS"] == f"{mine},{TOPIC_ARN}"
    bare = demo_settings({}, tmp_path)
    assert bare["SNS_TOPIC_ARNS"] == TOPIC_ARN
    assert Path(bare["SNS_CERTIFICATE_DIR"]).is_dir()
    assert bare["SCOPE_TAGS"] == "campaign=campaign,step=step"
    assert (
        demo_settings({"SCOPE_TAGS": "isp=ses:recipient-isp"}, tmp_path)["SCOPE_TAGS"]
        == "isp=ses:recipient-isp"
    )
