"""What is found of a replica that the API reads: on real servers, and by what `INFO` says."""

from collections.abc import Callable
from typing import Any

import pytest

from api.config import ApiSettings
from deploy.doctor import redis_side
from deploy.doctor.check import Check, Row, State, examine, ok
from deploy.doctor.redis_side import Redis
from deploy.doctor.replica import checks, judge_replica
from deploy.valkey import Valkey
from tests.api.writer import Writer
from tests.valkey_replica import replica_of


def look(primary: Valkey, read_url: str) -> list[Row]:
    """The findings of a replica where that of its primary is well."""
    settings = ApiSettings(redis_url=primary.url, redis_read_url=read_url)
    counted, read = Redis(settings), Redis(settings.redis_reads)
    try:
        well = Check(redis_side.LOGIN, lambda: [ok("logged in")])
        return list(examine([well, *checks(counted, read)]))
    finally:
        counted.close()
        read.close()


def test_one_that_follows_is_well_and_each_fault_is_named(valkey_factory: Callable[[], Valkey]) -> None:
    primary = valkey_factory()

    def found(url: str) -> tuple[State, str, str]:
        *before, row = look(primary, url)
        assert {each.finding.state for each in before} == {State.OK}
        assert [each.check for each in before] == [
            *("redis login", "replica address", "replica login", "replica rights")
        ]
        assert row.check == "replica"
        return row.finding.state, row.finding.what, row.finding.fix

    with replica_of(primary) as replica:
        url = replica.server.url
        Writer(replica.primary).go_live()
        replica.wait_until_level()
        state, what, _ = found(url)
        assert (state, "follows" in what) == (State.OK, True)
        assert found(primary.url)[:2] == (State.OK, "it is the server at REDIS_URL itself")

        state, what, fix = found(url.replace("/0", "/1"))
        assert (state, "no live generation" in what) == (State.PROBLEM, True)
        assert "the database of REDIS_URL" in fix

        replica.lose_link()
        state, what, fix = found(url)
        assert (state, "link to its primary is down" in what) == (State.PROBLEM, True)
        assert "masterauth" in fix

        replica.client.replicaof("NO", "ONE")
        state, what, fix = found(url)
        assert (state, "follows no server" in what) == (State.PROBLEM, True)
        assert "REPLICAOF" in fix

    rows = look(primary, url)
    assert [(row.check, row.finding.state) for row in rows[1:]] == [
        ("replica address", State.PROBLEM),
        *((name, State.SKIPPED) for name in ("replica login", "replica rights", "replica")),
    ]
    assert "REDIS_READ_URL" in rows[1].finding.fix


PRIMARY = {"run_id": "a", "role": "master", "master_replid": "x", "master_repl_offset": 5_000}
PRIMARY |= {"repl_backlog_size": 1_000}
REPLICA = {"run_id": "b", "role": "slave", "master_replid": "x", "slave_repl_offset": 4_000}
REPLICA |= {"master_link_status": "up", "master_sync_in_progress": 0, "master_last_io_seconds_ago": 1}


@pytest.mark.parametrize(
    ("changed", "what"),
    [
        ({}, None),
        ({"slave_repl_offset": 5_001}, None),
        ({"slave_repl_offset": 3_999}, "1,001 bytes behind"),
        ({"master_replid": "y"}, "follows another server"),
        ({"master_link_status": "down", "master_sync_in_progress": 1}, "copies all data"),
        ({"master_link_status": "down", "master_link_down_since_seconds": 90}, "is down, for 90 s"),
    ],
)
def test_what_info_says_is_judged(changed: dict[str, Any], what: str | None) -> None:
    finding = judge_replica(PRIMARY, REPLICA | changed)
    if what is None:
        assert finding is None
    else:
        assert finding is not None
        assert finding.state is State.PROBLEM
        assert what in finding.what
