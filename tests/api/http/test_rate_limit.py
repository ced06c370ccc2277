"""What a key may ask in a window, and what counts."""

import time

import pytest

from api.config import rate_limit_of
from api.errors import RATE_LIMITED, UNAVAILABLE, ApiError
from api.http.rate_limit import RateLimit
from tests.api.conftest import OpenDoor
from tests.api.writer import Writer


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
