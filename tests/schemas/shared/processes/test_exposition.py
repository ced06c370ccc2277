"""Several expositions become one: counters add up, and a gauge is what its program says of it."""

import pytest
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from api.metrics import GAUGES as OF_API
from api.metrics import ApiMetrics, TenantMetrics
from ingest.metrics import GAUGES as OF_INGEST
from ingest.metrics import IngestMetrics
from schemas.shared.processes.exposition import Rule, merged
from tests.metrics_text import samples

RULES: dict[str, Rule] = {"least": "min", "most": "max", "all": "sum"}


def told(number: int, *labels: str) -> bytes:
    """What a process with that number of requests, by each label, says."""
    registry = CollectorRegistry()
    counter = Counter("asked", "Requests.", ["by"], registry=registry)
    seconds = Histogram("took", "Time.", buckets=(1.0, 10.0), registry=registry)
    for label in labels:
        counter.labels(label).inc(number)
    for _ in range(number):
        seconds.observe(number)
    for name in RULES:
        Gauge(name, "A gauge.", registry=registry).set(number)
    return generate_latest(registry)


def test_counters_and_histograms_add_up_and_gauges_follow_their_rule() -> None:
    """What only one process has seen is there too."""
    text = merged([told(3, "x"), told(2, "x", "y z"), told(4)], RULES).decode()
    assert samples(text, "asked_total") == {("x",): 5, ("y z",): 2}
    assert samples(text, "took_bucket") == {("1.0",): 0, ("10.0",): 9, ("+Inf",): 9}
    assert samples(text, "took_count")[()] == 9
    assert samples(text, "took_sum")[()] == 29
    assert [samples(text, name)[()] for name in RULES] == [2, 4, 9]


@pytest.mark.parametrize("program", ["ingest", "api"])
def test_every_gauge_of_a_program_has_a_rule_and_one_process_says_what_it_says_alone(program: str) -> None:
    """Of tenants too, whose names may hold what ends a line elsewhere."""
    if program == "ingest":
        registry, gauges = IngestMetrics().registry, OF_INGEST
    else:
        metrics = ApiMetrics()
        metrics.bear(["/api/metrics/{id}"])
        metrics.complete_through.labels(3).set(1_795_797_453.25)
        TenantMetrics(metrics.registry).rate.labels('a "b"\n# TYPE c\\ d', "bounce").set(float("nan"))
        registry, gauges = metrics.registry, OF_API
    ours = {family.name for family in registry.collect() if family.type in {"gauge", "info"}}
    assert {name.removesuffix("_info") for name in gauges} == {name.removesuffix("_info") for name in ours}
    text = generate_latest(registry)
    assert merged([text], gauges) == text


def test_a_gauge_without_a_rule_is_an_error() -> None:
    with pytest.raises(KeyError, match="most"):
        merged([told(1)], {"least": "min", "all": "sum"})
