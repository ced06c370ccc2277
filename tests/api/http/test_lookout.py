"""What the API says of its own reads while nobody asks: whether they could be answered, and how fresh."""

from collections.abc import Callable

import pytest

from api.http import lookout
from schemas import redis_keys
from tests.api.conftest import Door, OpenDoor
from tests.api.writer import Writer
from tests.metrics_text import by_partition, samples


@pytest.fixture
def _always_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lookout, "FRESH_S", 0.0)


def through(door: Door) -> dict[int, float]:
    return by_partition(door.send("GET", "/metrics").text, "api_complete_through_timestamp_seconds")


def ready(door: Door) -> float:
    return samples(door.send("GET", "/metrics").text, "api_ready")[()]


@pytest.mark.usefixtures("_always_looks")
def test_the_least_of_all_lanes_is_told_for_each_partition(writer: Writer, door: Door) -> None:
    """Without a request and without a tenant; a partition that one lane does not know has no time yet."""
    assert through(door) == {}
    lanes = [redis_keys.lane_key("g1", number) for number in range(writer.generation.lanes)]
    for number, lane in enumerate(lanes):
        writer.client.hset(lane, mapping={"f0": 5, "c0": 9_000 - number, "f1": 7, "c1": 4_000})
    assert through(door) == {0: 8.998, 1: 4}
    writer.client.hset(lanes[1], mapping={"f2": 3, "c2": 5_000})
    assert through(door) == {0: 8.998, 1: 4, 2: 0}
    assert ready(door) == 1


@pytest.mark.usefixtures("_always_looks")
def test_what_cannot_be_read_any_more_grows_older(writer: Writer, door: Door) -> None:
    """One lane of many, the generation, all: not ready, and the last time that was seen stands."""
    lanes = [redis_keys.lane_key("g1", number) for number in range(writer.generation.lanes)]
    for lane in lanes:
        writer.client.hset(lane, mapping={"f0": 5, "c0": 9_000})
    assert (ready(door), through(door)) == (1, {0: 9})
    kept = writer.client.hgetall(lanes[1])
    damages: list[Callable[[], object]] = [
        lambda: writer.client.delete(lanes[1]),
        lambda: writer.client.hset(lanes[1], "generation", "g0"),
        lambda: writer.client.hset(lanes[1], "c0", "yesterday"),
        lambda: writer.client.set(lanes[1], "no lane"),
        lambda: writer.client.delete(redis_keys.RECORD_KEY),
        writer.client.flushdb,
    ]
    for damage in damages:
        damage()
        assert (ready(door), through(door)) == (0, {0: 9})
        writer.client.delete(lanes[1])
        for lane in lanes:
            writer.client.hset(lane, mapping=kept)  # type: ignore[arg-type] # invariant in its stubs
        writer.go_live()
        assert ready(door) == 1
    door.keys.loaded = False
    assert ready(door) == 0


@pytest.mark.programs
def test_a_redis_that_never_was_there_is_told(open_door: OpenDoor) -> None:
    """A scrape is answered, and says that nothing can be read."""
    away = open_door("redis://127.0.0.1:1/0")
    assert (ready(away), through(away)) == (0, {})


def test_many_scrapes_cost_one_look(writer: Writer, door: Door) -> None:
    """Whoever can reach `/metrics` cannot have Redis read all lanes as often as they like."""

    def reads() -> int:
        stats = writer.client.info("commandstats")
        return int(stats.get("cmdstat_hgetall", {}).get("calls", 0))

    before = reads()
    for _ in range(20):
        ready(door)
    assert reads() - before == writer.generation.lanes


def test_every_answer_that_can_be_given_is_counted_from_zero(door: Door) -> None:
    """An alarm sees the first refusal as a step, not as a series that was always so."""
    counted = samples(door.send("GET", "/metrics").text, "api_requests_total")
    for route in ("/api/metrics", "/api/metrics/sequences/{id}", "none"):
        for status in ("200", "304", "401", "429", "500", "503"):
            assert counted[route, status] == 0
