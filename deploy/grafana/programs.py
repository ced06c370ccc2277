"""Which versions run, and what each process takes of its machine."""

from typing import Final

from deploy.grafana.panels import Board, Query, Row
from deploy.grafana.queries import course, number, rate

OURS: Final = '{job=~"ingest|aggregator|api|audit|archive"}'
"""Prometheus may scrape other programs, whose process metrics have the same names."""

PROGRAMS: Final = Board(
    "programs",
    "programs",
    (
        Row(
            "Which run",
            (
                number("Up", "short", f"sum by (job) (up{OURS})", "{{job}}"),
                number(
                    "Versions",
                    "short",
                    "count by (job, version) (ingest_build_info or aggregator_build_info or audit_build_info"
                    " or archive_build_info or api_build_info)",
                    "{{job}} {{version}}",
                ),
                number("Python", "short", f"count by (version) (python_info{OURS})", "{{version}}"),
            ),
            3,
        ),
        Row(
            "What they take",
            (
                course(
                    "Processors",
                    "short",
                    Query(
                        rate("process_cpu_seconds_total", "job", "instance", where=OURS),
                        "{{job}} {{instance}}",
                    ),
                    says="1 is one processor. ingest, API and workers use about one at most.",
                ),
                course(
                    "Memory", "bytes", Query(f"process_resident_memory_bytes{OURS}", "{{job}} {{instance}}")
                ),
                course(
                    "Open files, of those that it may open",
                    "percentunit",
                    Query(f"process_open_fds{OURS} / process_max_fds", "{{job}} {{instance}}"),
                ),
                course(
                    "Garbage collections",
                    "ops",
                    Query(
                        rate("python_gc_collections_total", "job", "generation", where=OURS),
                        "{{job}}, generation {{generation}}",
                    ),
                ),
                course(
                    "Objects collected",
                    "ops",
                    Query(rate("python_gc_objects_collected_total", "job", where=OURS), "{{job}}"),
                    Query(
                        rate("python_gc_objects_uncollectable_total", "job", where=OURS),
                        "uncollectable, {{job}}",
                    ),
                ),
                course(
                    "Up for",
                    "s",
                    Query(f"time() - process_start_time_seconds{OURS}", "{{job}} {{instance}}"),
                    says="A line that falls again and again is a program that ends again and again.",
                ),
            ),
            3,
        ),
    ),
)
