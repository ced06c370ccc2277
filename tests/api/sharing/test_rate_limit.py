"""What a key may ask in a window, and what counts."""

import asyncio
import time
from datetime import UTC, datetime
from unittest import mock

import pytest
from hypothesis import given
from hypothesis import strategies as st

from api.config import rate_limit_of
from api.counters.liveness import LATELY_S
from api.errors import RATE_LIMITED, UNAVAILABLE, ApiError
from api.sharing.costs import HEADER
from api.sharing.rate_limit import RateLimit
from tests.api.conftest import Door, OpenDoor
from tests.api.site import until
from tests.api.writer import Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)


def test_a_window_begins_with_the_first_request_and_ends_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many in a window, each key for itself; looking counts nothing; the next window is whole again."""
    now_s = 1000.0
    monkeypatch.setattr(time, "time", lambda: now_s)
    limit = RateLimit(rate_limit_of("2/minute"))
    for left in (1, 0):
        limit.check("a")
        assert limit.count("a")["RateLimit"] == f'"key";r={left};t=60'
    now_s += 59.5
    for ask in (limit.check, limit.count):
        with pytest.raises(ApiError) as refusal:
            ask("a")
        assert refusal.value.code is RATE_LIMITED
        assert refusal.value.headers["Retry-After"] == "1"
        assert refusal.value.headers["RateLimit"] == '"key";r=0;t=1'
    assert limit.count("b")["RateLimit"] == '"key";r=1;t=60'
    now_s += 1.0
    limit.check("a")
    assert limit.count("a")["RateLimit"] == '"key";r=1;t=60'


def test_a_query_counts_by_its_cost_once_it_is_answered(monkeypatch: pytest.MonkeyPatch) -> None:
    """No more than its cost, and no more than its share of the window that it ends in."""
    now_s = 1000.0
    monkeypatch.setattr(time, "time", lambda: now_s)
    limit = RateLimit(rate_limit_of("100/10 seconds"))
    limit.count("a")
    now_s += 2.0
    assert limit.charge("a", 7, since_s=1000.0)["RateLimit"] == '"key";r=93;t=8'
    limit.count("a")
    assert limit.charge("a", 50, since_s=1000.0)["RateLimit"] == '"key";r=73;t=8'
    assert limit.charge("a", 50, since_s=now_s)["RateLimit"] == '"key";r=73;t=8'
    now_s += 9.0
    assert limit.charge("a", 50, since_s=1000.0)["RateLimit"].startswith('"key";r=100;')
    limit.count("a")
    now_s += 1.0
    assert limit.charge("a", 50, since_s=1000.0)["RateLimit"] == '"key";r=90;t=9'


@given(
    st.integers(1, 1000),
    st.integers(1, 60),
    st.lists(st.tuples(st.integers(1, 100), st.floats(0.0, 3.0)), max_size=60),
)
def test_one_thing_at_a_time_is_never_refused_for_its_cost(
    amount: int, window_s: int, asked: list[tuple[int, float]]
) -> None:
    """Whatever queries cost and however long they take: those in a row are refused by their number alone."""
    now_s = 1000.0

    def clock() -> float:
        return now_s

    with mock.patch("time.time", clock):
        limit = RateLimit(rate_limit_of(f"{amount} per {window_s} seconds"))
        for cost, took in asked:
            since_s = now_s
            limit.check("a")
            limit.count("a")
            now_s += window_s / amount + took  # no faster than the limit lets ordinary ones be
            limit.charge("a", cost, since_s)


def test_what_cannot_be_answered_is_not_counted(writer: Writer, open_door: OpenDoor, redis_db: str) -> None:
    """Without a generation all is 503, and nothing of the allowance is used; also where none is left."""
    door = open_door(redis_db, rate_limit="2/hour")
    assert door.get("/api/metrics").headers["ratelimit"].startswith('"key";r=1;')
    writer.client.flushdb()
    for _ in range(3):
        response = door.get("/api/metrics")
        assert (response.status_code, response.json()["code"]) == (503, UNAVAILABLE.code)
        assert "ratelimit" not in response.headers
    again = Writer(writer.client, "g2")
    again.go_live()
    assert door.get("/api/metrics").headers["ratelimit"].startswith('"key";r=0;')
    assert door.get("/api/metrics").status_code == 429
    writer.client.flushdb()
    assert door.get("/api/metrics").status_code == 503


def test_the_cost_is_told_and_counts(writer: Writer, door: Door) -> None:
    """An answer says what its query costs, an error too; none is in an answer that nobody was counted for."""
    writer.write([Counted(HOUR, "sent", sequence="a")])
    for path, cost in (
        ("/api/metrics", "1"),
        ("/api/metrics?from=2025-01-01&to=2025-09-07", "3"),
        ("/api/metrics?from=2025-01-01&to=2025-09-07&include=rates,status&compare=previous", "6"),
        ("/api/metrics/sequences/nobody?from=2025-01-01&to=2025-09-07", "3"),
        ("/api/metrics/sequences?limit=1000", "5"),
        ("/api/metrics?period=nonsense", "1"),
    ):
        assert door.get(path).headers[HEADER] == cost, path
    assert HEADER not in door.get("/api/metrics", Authorization="Bearer nobody").headers


def test_keys_that_nobody_has_cost_redis_one_read_a_second(writer: Writer, door: Door) -> None:
    """However many ask, at once and in a row; a wiped Redis is reported to them, a second later at worst."""

    def reads() -> int:
        return int(writer.client.info("commandstats")["cmdstat_get"]["calls"])

    async def many() -> list[int]:
        headers = {"Authorization": "Bearer nobody"}
        answers = await asyncio.gather(
            *(door.client.get("/api/metrics", headers=headers) for _ in range(200))
        )
        return [answer.status_code for answer in answers]

    assert door.get("/api/metrics").status_code == 200
    before, began = reads(), time.monotonic()
    assert set(door.loop.run_until_complete(many())) == {401}
    assert {door.get("/api/metrics", Authorization=f"Bearer {n}").status_code for n in range(50)} == {401}
    assert reads() - before <= 1 + (time.monotonic() - began) / LATELY_S
    writer.client.flushdb()
    until(lambda: door.get("/api/metrics", Authorization="Bearer nobody").status_code == 503)
