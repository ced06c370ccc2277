"""A Kafka that cannot be reached: why is said, in the log with the words of Kafka, in `/readyz` without."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.site import Site, until
from tests.api.writer import Writer

NOWHERE = "no-such-host.invalid:9092"
WHY = "the host name of a broker is not known"


@pytest.fixture
def site(tmp_path: Path, writer: Writer, redis_db: str) -> Iterator[Site]:
    assert writer.generation.name == "g1"
    site = Site(tmp_path, KAFKA_BOOTSTRAP_SERVERS=NOWHERE, REDIS_URL=redis_db)
    yield site
    site.kill()


@pytest.mark.parametrize("command", ["api keys list", "api keys create acme", "deploy.topics"])
def test_a_command_says_why_in_a_line(site: Site, command: str) -> None:
    ended = site.run("-m", *command.split())
    assert (ended.returncode, ended.stdout) == (1, "")
    assert len(ended.stderr.splitlines()) == 1, ended.stderr
    assert WHY in ended.stderr


def test_the_api_says_why_and_tells_nobody_where(site: Site) -> None:
    site.start()
    until(lambda: WHY in site.get("/readyz").text)
    answer = site.get("/readyz")
    assert answer.status_code == 503
    assert site.keys_heard_s() == 0
    assert "invalid" not in answer.text
    assert "9092" not in answer.text
    until(lambda: '"reason"' in site.log.read_text())
    line = next(line for line in map(json.loads, site.log.read_text().splitlines()) if "reason" in line)
    assert WHY in line["reason"]
    assert NOWHERE in line["error"]


def test_help_creates_nothing_and_a_wrong_word_is_one(site: Site) -> None:
    """`deploy.topics` without a Kafka to ask: what asks none ends at once."""
    for arguments, status, words in ((["--help"], 0, "EVENTS_TOPIC"), (["nonsense"], 2, "nonsense")):
        ended = site.run("-m", "deploy.topics", *arguments)
        assert ended.returncode == status
        assert words in ended.stdout + ended.stderr
