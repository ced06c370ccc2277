"""What every program tells Prometheus of itself as a process, beside what it measures of its work."""

from collections.abc import Mapping
from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector

from schemas.shared.processes.exposition import Rule

VERSION: Final = "0.2.0"
"""Of the distribution. `make versions` carries it here: the image has the code and no package's metadata."""


PROCESS_GAUGES: Final[Mapping[str, Rule]] = {
    "python_info": "max",
    "process_virtual_memory_bytes": "sum",
    "process_resident_memory_bytes": "sum",
    "process_start_time_seconds": "min",
    "process_open_fds": "sum",
    "process_max_fds": "sum",
}
"""What each of these gauges is over several processes: memory that they share counts for each of them."""


def add_process_metrics(program: str, registry: CollectorRegistry) -> None:
    """Add the version, the Python, memory, processor time and open files, and the garbage collector.

    program: the first word of the program's metrics. registry: of the program; it has none of these yet.
    Raises: ValueError where it has.
    """
    Info(f"{program}_build", "Which version this is", registry=registry).info({"version": VERSION})
    PlatformCollector(registry=registry)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
