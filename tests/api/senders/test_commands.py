"""`python -m api health`: who is in trouble, and what scripts are told."""

import json
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from api.__main__ import cli
from api.senders import commands
from schemas import redis_keys
from tests.api.conftest import NOW_MS, Door
from tests.api.senders.conftest import BOUNCING, DISLIKED, HEALTHY, NOW, SMALL, write
from tests.api.writer import Counted, Writer


@pytest.fixture(autouse=True)
def _now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(commands, "now_ms", lambda: NOW_MS)


def run(redis_db: str, *arguments: str) -> Result:
    return CliRunner().invoke(cli, ["health", *arguments], env={"REDIS_URL": redis_db})


def told(redis_db: str, *arguments: str) -> dict[str, Any]:
    body: dict[str, Any] = json.loads(run(redis_db, *arguments, "--json").stdout)
    return body


def test_all_that_are_in_trouble_are_told(writer: Writer, redis_db: str) -> None:
    """The worst first, with the counts of the last seven days; nobody who is well or too small."""
    write(writer)
    for number in range(writer.generation.lanes):
        writer.client.hset(redis_keys.lane_key("g1", number), "c0", NOW_MS - 1_000)
    assert told(redis_db, "--all") == {
        "from": "2025-09-11T00:00:00.000Z",
        "to": "2025-09-17T13:45:12.345Z",
        "complete_through": "2025-09-17T13:45:11.345Z",
        "tenants": [
            {
                "tenant": DISLIKED,
                "status": "critical",
                "sent": 1_000,
                "delivered": 1_000,
                "bounced_hard": 49,
                "complained": 5,
                "bounce": {"rate": 0.049, "status": "healthy"},
                "complaint": {"rate": 0.005, "status": "critical"},
            },
            {
                "tenant": BOUNCING,
                "status": "warning",
                "sent": 2_000,
                "delivered": 2_000,
                "bounced_hard": 100,
                "complained": 0,
                "bounce": {"rate": 0.05, "status": "warning"},
                "complaint": {"rate": 0.0, "status": "healthy"},
            },
        ],
    }
    done = run(redis_db, "--all")
    assert done.exit_code == 3
    assert done.stdout.splitlines() == [
        r"critical  'disliked\n'  sent 1,000, bounces 4.900 % (healthy), complaints 0.500 % (critical)",
        "warning  bounc/ing  sent 2,000, bounces 5.000 % (warning), complaints 0.000 % (healthy)",
    ]
    assert done.stderr == "tenants in trouble: 2, 7 days, counted up to 2025-09-17T13:45:11.345Z\n"


def test_it_reads_where_the_api_reads(writer: Writer, redis_db: str) -> None:
    """A replica where there is one, and nothing else."""
    write(writer)
    elsewhere = f"{redis_db.rpartition(':')[0]}:1/0"
    env = {"REDIS_URL": elsewhere, "REDIS_READ_URL": redis_db}
    done = CliRunner().invoke(cli, ["health", BOUNCING], env=env)
    assert (done.exit_code, done.stdout.split()[0]) == (0, "warning")
    assert run(elsewhere, BOUNCING).exit_code == 1


def test_one_tenant_is_told_whatever_its_health(writer: Writer, redis_db: str) -> None:
    """The exit code speaks of it alone."""
    write(writer)
    for tenant, status, code in (
        (HEALTHY, "healthy", 0),
        (BOUNCING, "warning", 0),
        (DISLIKED, "critical", 3),
        (SMALL, "insufficient_data", 0),
        ("nobody", "insufficient_data", 0),
    ):
        assert [each["status"] for each in told(redis_db, tenant)["tenants"]] == [status]
        assert run(redis_db, tenant).exit_code == code
    assert "as its mails are tagged" in run(redis_db, "nobody").stderr, "it may be misspelt"
    done = run(redis_db, SMALL)
    assert "tagged" not in done.stderr
    assert (
        done.stdout
        == "insufficient_data  small  sent 900, bounces insufficient data, complaints insufficient data\n"
    )


def test_it_is_what_the_tenant_itself_is_answered(writer: Writer, redis_db: str, door: Door) -> None:
    """Asked from the first of the days on, for any number of them."""
    write(writer)
    writer.write([Counted(NOW, "bounced_hard", 400, BOUNCING)])
    for days in (1, 2, 7, 30):
        for tenant in (HEALTHY, BOUNCING, DISLIKED, SMALL):
            body = told(redis_db, tenant, "--days", str(days))
            (said,) = body["tenants"]
            span = f"from={body['from']}&to={body['to']}"
            fields = "sent,delivered,bounced_hard,complained"
            path = f"/api/metrics?{span}&include=health&fields={fields}"
            answer = door.get(path, door.keys.texts.get(tenant) or door.keys.add(tenant)).json()
            assert {name: said[name] for name in answer["health"]} == answer["health"]
            assert {name: said[name] for name in answer["totals"]} == answer["totals"]
            assert len(answer["timeseries"]) == days


def test_nobody_in_trouble_is_0(writer: Writer, redis_db: str) -> None:
    assert run(redis_db, "--all").exit_code == 0
    writer.write([Counted(NOW, "sent", 5, "t")])
    done = run(redis_db, "--all", "--json")
    assert (done.exit_code, json.loads(done.stdout)["tenants"]) == (0, [])
    assert done.stderr == ""


def test_what_cannot_be_read_is_1_and_a_line(writer: Writer, redis_db: str) -> None:
    """A lane that is gone is not a lane without tenants; and no key of ours is left where none was."""
    write(writer)
    writer.client.delete(writer.lane(BOUNCING))
    for arguments in (["--all"], [BOUNCING]):
        done = run(redis_db, *arguments)
        assert (done.exit_code, done.stdout, done.stderr.count("\n")) == (1, "", 1)
    writer.client.flushdb()
    done = run(redis_db, "--all")
    assert done.exit_code == 1
    assert "no live generation" in done.stderr
    assert run("redis://127.0.0.1:1/0", "--all").exit_code == 1


@pytest.mark.parametrize(
    "arguments", [[], ["t", "--all"], ["--all", "--days", "0"], ["--all", "--days", "367"]]
)
def test_a_wrong_command_line_is_2(redis_db: str, arguments: list[str]) -> None:
    assert run(redis_db, *arguments).exit_code == 2


def test_how_far_it_is_is_told(writer: Writer, redis_db: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """On stderr, so that what reads stdout is not disturbed."""
    monkeypatch.setattr(commands, "TOLD_EACH", 2)
    write(writer)
    done = run(redis_db, "--all", "--json")
    assert done.stderr.splitlines()[-1] == "4 tenants read"
    assert len(json.loads(done.stdout)["tenants"]) == 2
