"""What every program tells Prometheus of itself as a process, beside what it measures of its work."""

from typing import Final

from prometheus_client import CollectorRegistry, GCCollector, Info, PlatformCollector, ProcessCollector

VERSION: Final = "0.2.0"
"""Of the distribution. `make versions` carries it here: the image has the code and no package's metadata."""


def add_process_metrics(program: str, registry: CollectorRegistry) -> None:
    """Add the version, the Python, memory, processor time and open files, and the garbage collector.

    program: the first word of the program's metrics. registry: of the program; it has none of these yet.
    Raises: ValueError where it has.
    """
    Info(f"{program}_build", "Which version this is", registry=registry).info({"version": VERSION})
    PlatformCollector(registry=registry)
    ProcessCollector(registry=registry)
    GCCollector(registry=registry)
