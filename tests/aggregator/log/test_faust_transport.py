"""The driver leans on private names of Faust and aiokafka; an upgrade must not take one away unseen."""

import inspect

import aiokafka
from aiokafka.consumer import fetcher
from faust.transport.consumer import Consumer as FaustConsumer
from faust.transport.drivers import aiokafka as driver
from faust.types import ConsumerMessage

from aggregator.log import faust_transport


def test_what_the_driver_overrides_is_there_to_override() -> None:
    """Each method that Faust is to call instead of its own exists in Faust, with the same parameters."""
    for ours, theirs, names in (
        (
            faust_transport.Consumer,
            driver.Consumer,
            (
                "_new_consumer_thread",
                "perform_seek",
                "on_partitions_revoked",
                "on_partitions_assigned",
                "getmany",
                "force_commit",
                "verify_event_path",
            ),
        ),
        (faust_transport.ConsumerThread, driver.AIOKafkaConsumerThread, ("_create_worker_consumer",)),
    ):
        for name in names:
            assert list(inspect.signature(getattr(ours, name)).parameters) == list(
                inspect.signature(getattr(theirs, name)).parameters
            ), name


def test_what_the_driver_uses_is_there() -> None:
    """The private attributes that the driver sets or calls are those that Faust and aiokafka read."""
    assert "_read_offset" in inspect.getsource(FaustConsumer._drain_messages)
    assert "generation_id" in inspect.signature(ConsumerMessage.__init__).parameters
    assert callable(FaustConsumer._wait_next_records)
    assert callable(driver.AIOKafkaConsumerThread._ensure_consumer)
    assert callable(driver.AIOKafkaConsumerThread.call_thread)
    start = inspect.getsource(aiokafka.AIOKafkaConsumer.start)
    assert "self._fetch_max_wait_ms" in start
    assert "self._isolation_level" in start
    fetch = inspect.getsource(fetcher.Fetcher._proc_fetch_request)
    for replaced in ("PartitionRecords(", "MemoryRecords("):
        assert replaced in fetch, "what `keep_fetches_packed` replaces is looked up by this name"
    for name in ("_unpack_records", "_consume_aborted_up_to", "_contains_abort_marker"):
        assert callable(getattr(fetcher.PartitionRecords, name))
