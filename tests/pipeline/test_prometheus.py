"""A real Prometheus beside the true programs: what rings where all was just started."""

import json
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import yaml

from deploy.processes import Child, free_port
from deploy.stack import CHECKOUT
from tests import prometheus
from tests.pipeline import events
from tests.pipeline.place import Place
from tests.pipeline.programs import Program, wait_until
from tests.pipeline.test_audit import now_ms, traffic

SCRAPES = 6
"""Of each program, 15 s apart: every alarm that waits a minute has had its minute."""

UNCOUNTED = 0.002
"""Of the mails: a fifth of the share of late records at which `LateOrStale` rings, as it should."""

TOPIC = "arn:aws:sns:eu-west-1:123456789012:ses-events"


class Server:
    """A Prometheus, as its HTTP API shows it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query?"
        self._open = build_opener(ProxyHandler({})).open

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of an expression now; nothing while the server does not answer yet."""
        try:
            with self._open(self._url + urlencode({"query": expression}), timeout=10) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except OSError:
            return []
        return [(each["metric"], float(each["value"][1])) for each in result]


@contextmanager
def scraping(programs: dict[str, Program], directory: Path) -> Iterator[Server]:
    """A Prometheus with the shipped configuration and alarms. programs: by job."""
    config = yaml.safe_load((CHECKOUT / "deploy" / "prometheus.yaml").read_text())
    config["rule_files"] = [str(CHECKOUT / "deploy" / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [programs[job["job_name"]].url.removeprefix("http://")]}]
    (directory / "prometheus.yaml").write_text(yaml.safe_dump(config))
    port = free_port()
    command = [
        prometheus.program("prometheus"),
        f"--config.file={directory / 'prometheus.yaml'}",
        f"--storage.tsdb.path={directory / 'prometheus'}",
        f"--web.listen-address=127.0.0.1:{port}",
    ]
    child = Child("prometheus", command, directory / "prometheus.log")
    child.start()
    try:
        yield Server(port)
    finally:
        child.kill()


def lint(program: Program) -> None:
    """What a program says passes Prometheus's own lint."""
    done = subprocess.run(
        [prometheus.program("promtool"), "check", "metrics"],
        input=program.get("/metrics").text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def test_nothing_but_the_truth_rings_after_a_fresh_start(place: Place, tmp_path: Path) -> None:
    """All four programs, scraped as the shipped configuration says, with traffic.

    Some of its records cannot be counted. That rings, though they were met before the first scrape; no other
    alarm does at any time.
    """
    (tmp_path / "certificates").mkdir()
    place.send(events.records(81, now_ms(), 1_000, 2, UNCOUNTED))
    programs = {
        "ingest": place.programs.ingest(TOPIC, tmp_path / "certificates"),
        "aggregator": place.programs.worker(),
        "api": place.programs.api(),
        "audit": place.programs.audit(),
    }
    place.wait_until_counted(programs["aggregator"])
    with scraping(programs, tmp_path) as server, traffic(place, UNCOUNTED):

        def scraped() -> bool:
            counts = server.ask("count_over_time(up[10m])")
            return len(counts) == len(programs) and all(count >= SCRAPES for _, count in counts)

        wait_until(scraped, f"{SCRAPES} scrapes of each program", limit_s=300)
        assert server.ask("min(up)") == [({}, 1)], "each of them answered"
        assert {labels["partition"] for labels, _ in server.ask("aggregator_lag_seconds")} == set("0123")
        assert len(server.ask("time() - api_complete_through_timestamp_seconds < 60")) == 4
        assert server.ask("sum(aggregator_records_total)")[0][1] > 1_000
        rang = server.ask('max_over_time(ALERTS{alertstate="firing"}[10m])')
        assert {labels["alertname"] for labels, _ in rang} == {"DeadLetters"}
    for program in programs.values():
        lint(program)
