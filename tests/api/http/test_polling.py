"""What it costs to ask again: tags, what may be kept and for how long, and how often a key may ask."""

from datetime import UTC, datetime

import httpx
import pytest
from pydantic import ValidationError

from api.config import ApiSettings
from api.http.polling import is_known
from tests.api.conftest import NOW_MS, Door, OpenDoor
from tests.api.http.test_routes import refused
from tests.api.writer import Counted, Writer

HOUR = datetime(2025, 9, 3, 7, tzinfo=UTC)
PAST = "/api/metrics?from=2025-09-01&to=2025-09-05"


def get(door: Door, path: str, **headers: str) -> httpx.Response:
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return door.get(path, **{"Authorization": f"Bearer {door.keys.texts['acme']}", **names})


@pytest.mark.parametrize("path", [PAST, "/api/metrics", "/api/metrics/sequences", "/api/metrics/sequences/a"])
def test_nothing_new_is_a_304_that_says_how_complete(writer: Writer, door: Door, path: str) -> None:
    """The tag stays while complete-through moves on; the answer without a body carries the new time."""
    writer.write([Counted(HOUR, "sent", 3, sequence="a")])
    writer.client.hset(writer.lane(), "c0", NOW_MS - 2000)
    first = get(door, path)
    tag = first.headers["etag"]
    assert tag.startswith('W/"')
    writer.client.hset(writer.lane(), "c0", NOW_MS - 1000)
    for held in (tag, tag[2:], f'"x", {tag}', "*"):
        again = get(door, path, If_None_Match=held)
        assert (again.status_code, again.content) == (304, b"")
        assert again.headers["etag"] == tag
        assert again.headers["x-complete-through"] == "2025-09-17T13:45:11.345Z"
        assert again.headers["vary"] == "Authorization, Accept"
        assert again.headers["cache-control"].startswith("private, max-age=")
    assert get(door, path, If_None_Match='W/"x"').status_code == 200
    assert get(door, path, Accept="text/csv").headers["etag"] != tag
    assert get(door, path, Accept="text/csv", If_None_Match=tag).status_code == 200


def test_a_tag_changes_with_a_number_a_point_or_a_status(writer: Writer, door: Door) -> None:
    """Whatever a client would see change in what it asked for, and the clock's now alone does not."""
    writer.write([Counted(HOUR, "sent", 3)])
    writer.client.hset(writer.lane(), "c0", NOW_MS)

    def tags(path: str) -> tuple[str, str]:
        plain, with_status = get(door, path), get(door, f"{path}&include=status")
        return plain.headers["etag"], with_status.headers["etag"]

    before = tags(PAST)
    assert tags(PAST) == before
    assert before[0] != before[1]
    writer.client.hset(writer.lane(), "c0", NOW_MS + 100 * 24 * 3_600_000)
    final = tags(PAST)
    assert final[0] == before[0]
    assert final[1] != before[1]
    writer.write([Counted(HOUR, "sent", 4)])
    assert tags(PAST)[0] != before[0]
    assert tags(PAST.replace("from=2025-09-01", "from=2025-09-02"))[0] != tags(PAST)[0]


def test_the_comparison_is_weak() -> None:
    assert is_known('W/"a"', 'W/"a"')
    assert is_known('"b" , "a"', 'W/"a"')
    assert not is_known(None, 'W/"a"')
    assert not is_known("", 'W/"a"')
    assert not is_known('"b"', 'W/"a"')


def test_the_past_keeps_longer_than_what_still_grows(writer: Writer, door: Door) -> None:
    """A range that is over and counted keeps for minutes; one that is not, for seconds; errors not at all."""
    assert writer.generation.name == "g1"
    keeps = "cache-control"
    assert get(door, PAST).headers[keeps] == "private, max-age=2"
    writer.client.hset(writer.lane(), "c0", NOW_MS)
    assert get(door, PAST).headers[keeps] == "private, max-age=300"
    for path in ("/api/metrics", f"{PAST[:-10]}2025-09-17", "/api/metrics/sequences"):
        assert get(door, path).headers[keeps] == "private, max-age=2"
    assert get(door, "/api/metrics?x=1").headers[keeps] == "no-store"


def test_a_key_has_an_allowance_of_its_own(writer: Writer, open_door: OpenDoor, redis_db: str) -> None:
    """The one request too many learns when to come again; other keys of the tenant are not held up."""
    assert writer.generation.name == "g1"
    door = open_door(redis_db, rate_limit="3/hour")
    mine, second = door.keys.texts["acme"], door.keys.add("acme")
    for left in (2, 1, 0):
        response = door.get("/api/metrics/sequences/unknown" if left == 1 else "/api/metrics", mine)
        assert response.status_code == (404 if left == 1 else 200)
        assert response.headers["ratelimit-policy"] == '"key";q=3;w=3600'
        assert response.headers["ratelimit"].startswith(f'"key";r={left};t=')
    for path in ("/api/metrics", "/api/metrics?nonsense=1", "/api/metrics/sequences"):
        response = door.get(path, mine)
        assert refused(response, "RATE_LIMITED")
        assert 1 <= int(response.headers["retry-after"]) <= 3600
        assert response.headers["ratelimit"] == f'"key";r=0;t={response.headers["retry-after"]}'
    assert door.get("/api/metrics", second).status_code == 200
    assert refused(door.get("/api/metrics", "sesm_nobody"), "UNAUTHORIZED")


def test_the_setting_is_a_rate() -> None:
    assert ApiSettings().rate_limit == "1000/second"
    with pytest.raises(ValidationError):
        ApiSettings(rate_limit="a lot")
