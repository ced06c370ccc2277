"""How far behind the numbers are, what is counted, and what goes wrong: from the topic to Redis."""

from typing import Final

from deploy.grafana.panels import Board, Query, Row
from deploy.grafana.queries import course, number, rate, rises, times

AGE: Final = "time() - (api_complete_through_timestamp_seconds > 0)"

PIPELINE: Final = Board(
    "pipeline",
    "pipeline",
    (
        Row(
            "Now",
            (
                number(
                    "Alarms that ring",
                    "short",
                    'sum by (alertname) (ALERTS{alertstate="firing"})',
                    "{{alertname}}",
                ),
                number(
                    "Age of the numbers", "s", f"max({AGE})", says="Of the partition that is furthest behind."
                ),
                number("Records not read yet", "short", "sum(aggregator_lag_records)"),
                number("Workers that count", "short", "sum(aggregator_ready)"),
                number(
                    "Dead letters in 24 hours", "short", rises("aggregator_dead_letters_total", span="24h")
                ),
                number("Cells that differed in 24 hours", "short", rises("audit_mismatch_total", span="24h")),
            ),
            6,
        ),
        Row(
            "Freshness and lag",
            (
                course(
                    "Age of what the API answers",
                    "s",
                    Query(f"max by (partition) ({AGE})", "partition {{partition}}"),
                    says="Up to when all is counted, seen from the API. Some seconds.",
                ),
                course(
                    "From a record to its count",
                    "s",
                    *times("aggregator_freshness_seconds"),
                    says="A sample a batch, of its latest record. High while old records are read.",
                ),
                course(
                    "Age of complete-through, by workers",
                    "s",
                    Query("max by (partition) (aggregator_lag_seconds)", "partition {{partition}}"),
                    says="A partition that no worker has is missing here, and old on the left above.",
                ),
                course(
                    "Records not read yet",
                    "short",
                    Query("sum by (partition) (aggregator_lag_records)", "partition {{partition}}"),
                ),
            ),
        ),
        Row(
            "Counting",
            (
                course("Records", "reqps", Query(rate("aggregator_records_total", "outcome"), "{{outcome}}")),
                course(
                    "Facts",
                    "cps",
                    Query(rate("aggregator_facts_total", "what"), "{{what}}"),
                    says="Repeated ones are duplicates, or read again after a resync: they change nothing.",
                ),
                course(
                    "Calls",
                    "ops",
                    Query(rate("aggregator_apply_seconds_count", "instance"), "{{instance}}"),
                    says="What was submitted to Redis together.",
                ),
                course("From submission to acknowledgement", "s", *times("aggregator_apply_seconds")),
            ),
        ),
        Row(
            "Trouble",
            (
                course(
                    "Resyncs",
                    "short",
                    Query(rises("aggregator_resyncs_total", "why"), "{{why}}"),
                    says="`assigned` is a rebalance; any other in numbers is worth a look.",
                ),
                course(
                    "Dead letters",
                    "short",
                    Query(rises("aggregator_dead_letters_total", "reason"), "{{reason}}"),
                ),
                course(
                    "Share of late and stale records",
                    "percentunit",
                    Query(
                        rate("aggregator_records_total", where='{outcome=~"late|stale"}')
                        + f" / {rate('aggregator_records_total')}",
                        "late or stale",
                    ),
                ),
                course(
                    "Redis went back, others counted",
                    "short",
                    Query(rises("aggregator_redis_rollbacks_total"), "rollbacks"),
                    Query(rises("aggregator_refolds_total"), "refolds"),
                ),
            ),
        ),
        Row(
            "Redis",
            (
                course(
                    "Memory",
                    "bytes",
                    Query("max by (node) (aggregator_redis_memory_bytes)", "{{node}}"),
                    Query("max by (node) (aggregator_redis_memory_limit_bytes > 0)", "limit of {{node}}"),
                ),
                course(
                    "Share of the limit",
                    "percentunit",
                    Query(
                        "max by (node) (aggregator_redis_memory_bytes)"
                        " / max by (node) (aggregator_redis_memory_limit_bytes > 0)",
                        "{{node}}",
                    ),
                    says="Full, Redis takes no counts. Empty where maxmemory is not set.",
                ),
            ),
        ),
        Row(
            "Audit",
            (
                course(
                    "Days of a tenant that were recounted, an hour",
                    "short",
                    Query(rises("audit_compared_total", span="1h"), "compared"),
                ),
                course(
                    "Cells that differed",
                    "short",
                    Query(rises("audit_mismatch_total"), "cells"),
                    says="Each is a defect: see AuditMismatch in the runbook.",
                ),
                course(
                    "Age of the last audit",
                    "s",
                    Query("time() - (max(audit_last_done_timestamp_seconds) > 0)", "age"),
                ),
                number(
                    "Audited from",
                    "dateTimeAsIso",
                    "1000 * max(audit_first_timestamp_seconds)",
                    says="The log has lost what was before; 1970: it has lost nothing.",
                ),
            ),
            4,
        ),
        Row(
            "Archive",
            (
                course(
                    "Age of what is archived",
                    "s",
                    Query("time() - max(archive_complete_through_timestamp_seconds)", "age"),
                    says="Up to the time and size that end a file.",
                ),
                course(
                    "Records that no file holds yet",
                    "short",
                    Query("max by (partition) (archive_lag_records)", "partition {{partition}}"),
                ),
                course(
                    "Put in place, an hour",
                    "short",
                    Query(rises("archive_records_total", span="1h"), "records"),
                    Query(rises("archive_files_total", "of", span="1h"), "files of {{of}}"),
                ),
            ),
            3,
        ),
    ),
)
