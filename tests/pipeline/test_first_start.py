"""The very first start, on a Kafka in which no group has ever been and a Redis that holds nothing."""

from collections.abc import Callable
from pathlib import Path

import pytest

from aggregator.worker.process import NO_ARCHIVE
from deploy.kafka import Kafka
from tests.pipeline.place import open_place


@pytest.mark.parametrize("together", [True, False], ids=["one group", "a group each"])
def test_several_workers_at_once(kafka_factory: Callable[[], Kafka], tmp_path: Path, together: bool) -> None:
    """Workers that start together on a new Kafka and a new Redis make one generation, and all stay."""
    with open_place(kafka_factory().bootstrap, tmp_path) as place:
        groups = [place.programs.group if together else f"{place.programs.group}-{n}" for n in range(3)]
        workers = [place.programs.worker(group) for group in groups]
        for worker in workers:
            worker.wait_until_ready()
            assert len(worker.said(NO_ARCHIVE)) == 1, "what that means is said once"
        generations = {worker.said("admitted")[-1]["generation"] for worker in workers}
        assert len(generations) == 1, generations
        lanes = {lane.encode() for lane in place.lanes()}
        assert set(place.redis.keys("{*}")) == lanes, "lanes of a generation that did not become the live one"
        assert [worker.stop() for worker in workers] == [0, 0, 0]
