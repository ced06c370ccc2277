"""A partition that is not counted is reported: by the worker that has it, and by the API, whoever has it."""

import time

from tests.metrics_text import by_partition, samples
from tests.pipeline import events, log
from tests.pipeline.place import Place
from tests.pipeline.programs import Program

PARTITIONS = {0, 1, 2, 3}
STUCK = 0


def lags(worker: Program) -> dict[int, float]:
    return by_partition(worker.get("/metrics").text, "aggregator_lag_seconds")


def through(api: Program) -> dict[int, float]:
    return by_partition(api.get("/metrics").text, "api_complete_through_timestamp_seconds")


def stored(place: Place) -> dict[int, float]:
    """What the lanes say, as `through`; the API may show what it saw up to 5 s ago."""
    return {
        number: min(of_lanes) / 1000 for number, of_lanes in enumerate(zip(*place.completes(), strict=True))
    }


def one_sample(program: Program, name: str) -> float:
    return samples(program.get("/metrics").text, name)[()]


def send(place: Place, seed: int) -> None:
    place.send(events.records(seed, time.time_ns() // 1_000_000, 2_000, tenants=2))


def test_one_healthy_worker_hides_no_partition_that_stands(place: Place) -> None:
    """A partition lost its next records: who has it shows a lag that grows, and the API a time that stands.

    After a rebalance no partition is reported by two workers, and what is counted has no lag of before.
    """
    send(place, 71)
    first, api = place.programs.worker(), place.programs.api()
    place.wait_until_counted(first)
    first.wait_until(lambda: set(lags(first)) == PARTITIONS, "it reports all partitions")
    api.wait_until(lambda: set(through(api)) == PARTITIONS, "the API knows of all partitions")
    assert first.stop() == 0

    send(place, 72)
    log.forget_before(place.bootstrap, place.programs.events_topic, place.ends()[STUCK], STUCK + 1)
    waiting = place.programs.worker()
    waiting.wait_until_unready_because("records are lost")
    assert set(lags(waiting)) == PARTITIONS
    before = lags(waiting)
    waiting.wait_until(lambda: all(lags(waiting)[n] > before[n] + 1 for n in PARTITIONS), "lags grow")
    assert one_sample(waiting, "aggregator_ready") == 0
    stood = stored(place)  # of the first one, which has ended

    healthy = place.programs.worker()
    both = (waiting, healthy)

    def shared() -> bool:
        sets = [set(lags(worker)) for worker in both]
        return set.union(*sets) == PARTITIONS and not set.intersection(*sets) and all(map(len, sets))

    healthy.wait_until(shared, "each partition is reported by one of them")
    holder = next(worker for worker in both if STUCK in lags(worker))
    other = next(worker for worker in both if worker is not holder)
    other.wait_until_ready()
    counted = set(lags(other))
    api.wait_until(lambda: all(through(api)[n] > stood[n] + 1 for n in counted), "what is counted goes on")
    other.wait_until(lambda: all(age < 60 for age in lags(other).values()), "no lag of before is left")
    assert through(api)[STUCK] == stood[STUCK]
    assert one_sample(holder, "aggregator_ready") == 0
    other.wait_until(lambda: one_sample(other, "aggregator_ready") == 1, "it is ready by its metric")
    api.wait_until(lambda: one_sample(api, "api_ready") == 1, "the API is ready by its metric")


def test_a_worker_that_lost_its_redis_still_tells_how_far_behind_it_is(place: Place) -> None:
    """Wiped under a running worker: all lags stay and grow, and the API says that it cannot answer."""
    send(place, 73)
    worker, api = place.programs.worker(), place.programs.api()
    place.wait_until_counted(worker)
    worker.wait_until(lambda: set(lags(worker)) == PARTITIONS, "it reports all partitions")
    api.wait_until(lambda: set(through(api)) == PARTITIONS, "the API knows of all partitions")
    seen = through(api)
    place.redis.flushall()
    worker.wait_until_unready_because("no generation")
    before = lags(worker)
    assert set(before) == PARTITIONS
    worker.wait_until(lambda: all(lags(worker)[n] > before[n] + 1 for n in PARTITIONS), "lags grow")
    assert by_partition(worker.get("/metrics").text, "aggregator_lag_records") == dict.fromkeys(PARTITIONS, 0)
    api.wait_until(lambda: one_sample(api, "api_ready") == 0, "the API is not ready")
    assert through(api).keys() == seen.keys()
