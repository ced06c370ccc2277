"""Every program says which version it is, and how it does as a process, in the same names."""

import pytest
from prometheus_client import CollectorRegistry

from aggregator.metrics import ARCHIVE, AUDIT, WORKER
from api.metrics import ApiMetrics
from ingest.metrics import IngestMetrics
from schemas.shared.process_metrics import VERSION

PROGRAMS = {
    "ingest": IngestMetrics().registry,
    "aggregator": WORKER,
    "audit": AUDIT,
    "archive": ARCHIVE,
    "api": ApiMetrics().registry,
}


@pytest.mark.parametrize(("program", "registry"), PROGRAMS.items(), ids=PROGRAMS)
def test_each_program_has_them(program: str, registry: CollectorRegistry) -> None:
    samples = {sample.name: sample for family in registry.collect() for sample in family.samples}
    assert samples[f"{program}_build_info"].labels == {"version": VERSION}
    assert samples["python_info"].labels["major"] == "3"
    assert {
        "process_resident_memory_bytes",
        "process_cpu_seconds_total",
        "process_open_fds",
        "process_max_fds",
        "process_start_time_seconds",
        "python_gc_collections_total",
        "python_gc_objects_collected_total",
        "python_gc_objects_uncollectable_total",
    } <= samples.keys()
