"""The true program against its own description: schemathesis with all of its checks on."""

import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path

import redis

from schemas.topics import API_KEYS, API_KEYS_TOPIC
from tests.api.site import ROOT, Site, until
from tests.api.writer import Counted, Writer
from tests.services import LIMIT_S, create_topics

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
EXAMPLES = os.environ.get("SCHEMA_EXAMPLES", "100")
"""How many queries for each route; more make the test longer."""


def test_the_program_is_what_it_says(tmp_path: Path, redis_db: str, kafka_bootstrap: str) -> None:
    """No 5xx; what the schema allows is answered as it says, what it forbids is refused."""
    create_topics(kafka_bootstrap, {API_KEYS_TOPIC: API_KEYS})
    site = Site(
        tmp_path, KAFKA_BOOTSTRAP_SERVERS=kafka_bootstrap, REDIS_URL=redis_db, RATE_LIMIT="1000000/second"
    )
    with redis.Redis.from_url(redis_db) as client:
        writer = Writer(client)
        writer.go_live()
        writer.write(
            Counted(HOUR, field, 3, sequence=sequence, template="welcome-email")
            for field in ("sent", "delivered")
            for sequence in ("onboarding", "news", "a/b")
        )
        client.hset(writer.lane(), "c0", 1_758_116_712_345)
    try:
        site.start()
        until(site.ready)
        command = [
            *(sys.executable, "-m", "schemathesis.cli", "run", f"http://127.0.0.1:{site.port}/openapi.json"),
            *("--header", f"Authorization: Bearer {site.create('acme')}", "--checks", "all", "--mode", "all"),
            *("--max-examples", EXAMPLES, "--generation-database", "none", "--seed", "1", "--no-color"),
        ]
        done = subprocess.run(
            command,
            cwd=tmp_path,  # it leaves notes of its own where it runs
            env={**os.environ, "PYTHONPATH": str(ROOT), "SCHEMATHESIS_HOOKS": "tests.api.schema_hooks"},
            capture_output=True,
            text=True,
            timeout=LIMIT_S * int(EXAMPLES),
            check=False,
        )
    finally:
        site.kill()
    assert done.returncode == 0, done.stdout[-20_000:] + done.stderr[-5_000:]
    assert "No issues found" in done.stdout, done.stdout[-5_000:]
