"""A real Prometheus beside the true programs: what rings where all was just started, and what boards show."""

import asyncio
import json
import re
import subprocess
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import count
from math import isnan
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, build_opener

import httpx
import pytest
import yaml

from deploy.grafana.files import FILES
from deploy.processes import Child, free_port
from deploy.signing import Signer
from deploy.stack import CHECKOUT
from deploy.traffic import DAY, iso
from tests import prometheus
from tests.pipeline import events, webhook
from tests.pipeline.log import Outgoing
from tests.pipeline.meanwhile import meanwhile
from tests.pipeline.place import Place
from tests.pipeline.programs import Program, wait_until
from tests.pipeline.test_audit import now_ms, traffic

SCRAPES = 6
"""Of each program, 15 s apart: every alarm that waits a minute has had its minute."""

UNCOUNTED = 0.002
"""Of the mails: a fifth of the share of late records at which `LateOrStale` rings, as it should."""

RATE_INTERVAL = "1m"
"""What Grafana puts in place of `$__rate_interval` at this pace of scrapes: four of them."""

TENANT = events.TENANTS[0]

WITHOUT_DATA = {
    "topk(10, max by (tenant, scope) (aggregator_known_ids))": "no scope here has a thousand ids",
}
"""Queries of the boards that find nothing here, and why: Prometheus only says that it understands them."""


class Server:
    """A Prometheus, as its HTTP API shows it."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/api/v1/query?"
        self._open = build_opener(ProxyHandler({})).open

    def ask(self, expression: str) -> list[tuple[dict[str, str], float]]:
        """The labels and values of an expression now; nothing while the server does not answer yet.

        Fails the test where the server does not understand it.
        """
        try:
            with self._open(self._url + urlencode({"query": expression}), timeout=10) as answer:
                result: list[dict[str, Any]] = json.load(answer)["data"]["result"]
        except HTTPError as error:
            if error.code != 503:  # not while it starts
                pytest.fail(f"{expression}: {error.read().decode()}")
            return []
        except OSError:
            return []
        return [(each["metric"], float(each["value"][1])) for each in result]


@contextmanager
def scraping(urls: Mapping[str, str], directory: Path) -> Iterator[Server]:
    """A Prometheus with the shipped configuration and alarms. urls: of what is scraped, by job."""
    shipped = (CHECKOUT / "deploy" / "prometheus.yaml").read_text()
    config = yaml.safe_load(prometheus.with_archive(shipped))
    config["rule_files"] = [str(CHECKOUT / "deploy" / name) for name in config["rule_files"]]
    for job in config["scrape_configs"]:
        job.pop("dns_sd_configs", None)
        job["static_configs"] = [{"targets": [urls[job["job_name"]].removeprefix("http://")]}]
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


def lint(url: str) -> None:
    """What a program says passes Prometheus's own lint."""
    done = subprocess.run(
        [prometheus.program("promtool"), "check", "metrics"],
        input=httpx.get(f"{url}/metrics", trust_env=False, timeout=30).text,
        capture_output=True,
        text=True,
        check=False,
    )
    assert (done.returncode, done.stdout + done.stderr) == (0, "")


def sent_by_one() -> Iterator[Outgoing]:
    """What one tenant must have sent at least for its health to be told: a thousand mails in seven days."""
    for number in range(25):
        key = f"one-of-many-{number}"
        mail = {
            "messageId": key,
            "timestamp": iso(now_ms() - DAY),
            "destination": [f"{who}@mailbox.example" for who in range(50)],
            "tags": {"tenant": [TENANT]},
        }
        value = json.dumps({"eventType": "Send", "mail": mail, "send": {}})
        yield Outgoing(key.encode(), value.encode(), now_ms())


@contextmanager
def users(place: Place, ingest: Program, api: Program, signer: Signer) -> Iterator[None]:
    """SNS delivers, and a tenant asks, again and again."""
    seeds = count(9_001)
    place.make_keys([TENANT])

    def use() -> None:
        records = events.records(next(seeds), now_ms(), 40, 2, 0.0)
        told = [each.value for each in records if each.value and webhook.can_carry(each.value)]
        asyncio.run(webhook.post(f"{ingest.url}/webhooks/sns", signer, told[:10], again=True))
        assert place.ask(api, (TENANT, "tenant", ""), period="day")[0] == 200

    with meanwhile(use):
        yield


def check_boards(server: Server) -> None:
    """Every query of every panel finds something, and what its series are called by is there."""
    empty, nameless = [], []
    for board in FILES.values():
        for panel in board.panels:
            for query in panel.queries:
                found = server.ask(query.expr.replace("$__rate_interval", RATE_INTERVAL))
                if all(isnan(value) for _, value in found):
                    empty.append((board.name, panel.title, query.expr))
                called_by = set(re.findall(r"{{(\w+)}}", query.legend))
                if any(not called_by <= labels.keys() for labels, _ in found):
                    nameless.append((board.name, panel.title, query.legend))
    assert [each for each in empty if each[2] not in WITHOUT_DATA] == []
    assert {expr for *_, expr in empty} == set(WITHOUT_DATA), "these find something: they need no reason"
    assert nameless == []


def test_nothing_but_the_truth_rings_after_a_fresh_start(place: Place, tmp_path: Path) -> None:
    """All five programs, scraped as the shipped configuration says, with traffic.

    Some of its records cannot be counted, and one mail in twenty is complained of. That rings, though it was
    so before the first scrape; no other alarm does at any time. And the boards show all of it.
    """
    (tmp_path / "certificates").mkdir()
    signer = Signer.create(tmp_path / "certificates")
    place.redis.config_set("maxmemory", "1gb")
    place.send(events.records(81, now_ms(), 1_000, 2, UNCOUNTED))
    place.send(sent_by_one())
    port = free_port()
    worker = place.programs.worker()
    place.wait_until_counted(worker)  # of what is counted later, the first survey knows nothing
    programs = {
        "ingest": place.programs.ingest(webhook.TOPIC_ARN, tmp_path / "certificates"),
        "aggregator": worker,
        "api": place.programs.api(METRICS_PORT=str(port), HEALTH_METRICS="true"),
        "audit": place.programs.audit(),
        "archive": place.programs.archive(tmp_path / "archive", ARCHIVE_FILE_MINUTES="0.2"),
    }
    urls = {job: program.url for job, program in programs.items()} | {"api": f"http://127.0.0.1:{port}"}
    for name in ("ingest", "api"):
        programs[name].wait_until_ready()
    with (
        scraping(urls, tmp_path) as server,
        traffic(place, UNCOUNTED),
        users(place, programs["ingest"], programs["api"], signer),
    ):

        def scraped() -> bool:
            counts = server.ask("count_over_time(up[10m])")
            return len(counts) == len(programs) and all(count >= SCRAPES for _, count in counts)

        wait_until(scraped, f"{SCRAPES} scrapes of each program", limit_s=300)
        assert server.ask("min(up)") == [({}, 1)], "each of them answered"
        assert {labels["partition"] for labels, _ in server.ask("aggregator_lag_seconds")} == set("0123")
        assert len(server.ask("time() - api_complete_through_timestamp_seconds < 60")) == 4
        assert server.ask("sum(aggregator_records_total)")[0][1] > 1_000
        check_boards(server)
        rang = server.ask('max_over_time(ALERTS{alertstate="firing"}[10m])')
        assert {labels["alertname"] for labels, _ in rang} == {"DeadLetters", "SenderCritical"}
    for url in urls.values():
        lint(url)
