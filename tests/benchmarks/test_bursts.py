"""The laws of the bursts: each event touches something new, as SES writes it, and slow calls are seen."""

from collections.abc import Callable, Iterator

import pytest
import redis

from aggregator.counting.decode import ID_MAX_BYTES, Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.rules import Rules
from deploy.valkey import Valkey
from tests.benchmarks import bursts
from tests.benchmarks.bursts import BURSTS, PARTITION, Burst, Processor, reported
from tests.benchmarks.events import records
from tests.benchmarks.expected import Expected
from tests.benchmarks.load import write
from tests.benchmarks.runs import TooShortError
from tests.benchmarks.workload import tenant_name
from tests.pipeline import log, oracle
from tests.pipeline.place import time_of

EVENTS = 600
each_burst = pytest.mark.parametrize("burst", BURSTS, ids=lambda burst: burst.key)


def facts(burst: Burst, numbers: range) -> Iterator[Facts]:
    """What the events state, as a worker reads them."""
    reader = Decoder(Rules())
    for record in list(records(reported(burst, numbers.stop, 1)))[numbers.start :]:
        outcome = reader.read(record.value, record.timestamp_ms)
        assert isinstance(outcome, Facts)
        yield outcome


def test_each_event_of_a_burst_has_something_new() -> None:
    """A tenant, a sequence and a template as long as they may be, or a day; and nothing is the innocent's."""
    of = {burst.key: list(facts(burst, range(EVENTS))) for burst in BURSTS}
    assert len({each.scopes.tenant for each in of["tenants"]}) == EVENTS
    for place in (0, 1):
        names = {each.scopes.ids[place] or "" for each in of["ids"]}
        assert len(names) == EVENTS
        assert {len(name.encode()) for name in names} == {ID_MAX_BYTES}
    assert len({each.day for each in of["days"]}) == EVENTS
    assert tenant_name(0) not in {each.scopes.tenant for events in of.values() for each in events}


@each_burst
def test_the_last_event_of_a_whole_burst_counts_too(burst: Burst) -> None:
    """No day lies before 1970, no id grows too long."""
    last = range(burst.size - 1, burst.size)
    (mail,) = (happening.mail for happening in reported(burst, burst.size, 1) if happening.number in last)
    assert mail.sent_ms > 0
    assert {len(list(records(reported(burst, 1, 1)))), len(list(facts(burst, range(1))))} == {1}


@each_burst
def test_what_is_expected_of_a_burst_is_what_an_independent_count_finds(burst: Burst) -> None:
    """By tenant and hour, as the oracle reads the bytes."""
    expected = Expected()
    made = list(records(map(expected.pass_on, reported(burst, EVENTS, 1))))
    want = oracle.count((each.value, time_of(each.timestamp_ms)) for each in made)
    of_tenants = {
        tenant: sum(counts.get("sent", 0) for counts in hours.values())
        for (tenant, kind, _), hours in want.hours.items()
        if kind == "tenant"
    }
    assert of_tenants == {tenant: counts[0] for tenant, counts in expected.totals().items()}
    assert sum(of_tenants.values()) == EVENTS


def test_a_burst_is_written_to_one_partition(kafka_bootstrap: str, topic_prefix: str) -> None:
    """All of it stands in one worker's calls, whatever its keys are."""
    topic = f"{topic_prefix}events"
    write(kafka_bootstrap, topic, reported(BURSTS[0], 50, 1), PARTITION)
    stored = log.read(kafka_bootstrap, topic)
    assert {each.partition for each in stored} == {PARTITION}
    assert [each.value for each in stored] == [each.value for each in records(reported(BURSTS[0], 50, 1))]


def test_a_call_that_holds_the_server_up_is_found(valkey_factory: Callable[[], Valkey]) -> None:
    """Only calls since the beginning that took more than 1 ms; without any there is nothing to tell."""
    slow = "local n = 0 for i = 1, 1000000 * ARGV[1] do n = n + i end return n"
    valkey = valkey_factory()
    with redis.Redis.from_url(valkey.url) as client:
        client.eval(slow, 0, 3)
        bursts.begin(client)
        client.get("quick")
        with pytest.raises(TooShortError):
            bursts.calls(client)
        before = Processor.of(valkey.child.pid)
        client.eval(slow, 0, 1)
        client.eval(slow, 0, 100)
        found = bursts.calls(client)
        assert len(found.slow_ms) == 2
        assert max(found.slow_ms) == found.slow_ms[0], "the latest first"
        assert Processor.of(valkey.child.pid).since(before).ran_s > 0


def test_a_verdict_tells_how_many_calls_were_too_long() -> None:
    """The bound itself is no fault."""
    assert bursts.Calls([2.0, 20.0, 20.1, 700.0]).note == "by SLOWLOG, 2 of 4 calls above 20 ms"


def test_linux_tells_what_a_process_had() -> None:
    """Time that it ran and time that it waited, each as a difference."""
    assert Processor(5.0, 2.0).since(Processor(3.5, 1.0)) == Processor(1.5, 1.0)
