"""What SNS delivers, what becomes of it, and how long that takes."""

from typing import Final

from deploy.grafana.panels import Board, Query, Row
from deploy.grafana.queries import course, number, rate, rises, times

NOT_NOW: Final = "kafka|certificate|confirmation|too_slow"
"""Outcomes of a delivery that SNS tries again: those of a 503."""

DONE: Final = "stored|confirmed|unsubscribed|test"
"""Outcomes that were answered 200."""

WEBHOOK: Final = Board(
    "webhook",
    "webhook",
    (
        Row(
            "Now",
            (
                number(
                    "Reaches Kafka", "short", "min(ingest_ready)", says="0: an event would be answered 503."
                ),
                number("Stored", "reqps", rate("ingest_deliveries_total", where='{outcome="stored"}')),
                number("In flight", "short", "sum(ingest_deliveries_in_flight)"),
                number(
                    "Answered 503 in 24 hours",
                    "short",
                    rises("ingest_deliveries_total", span="24h", where=f'{{outcome=~"{NOT_NOW}"}}'),
                ),
            ),
            4,
        ),
        Row(
            "Deliveries",
            (
                course(
                    "Taken",
                    "reqps",
                    Query(
                        rate("ingest_deliveries_total", "outcome", where=f'{{outcome=~"{DONE}"}}'),
                        "{{outcome}}",
                    ),
                ),
                course(
                    "Answered 503: SNS tries again",
                    "reqps",
                    Query(
                        rate("ingest_deliveries_total", "outcome", where=f'{{outcome=~"{NOT_NOW}"}}'),
                        "{{outcome}}",
                    ),
                    says="By default SNS tries three times within a minute, and then the event is gone.",
                ),
                course(
                    "Refused, or left by the sender",
                    "reqps",
                    Query(
                        rate("ingest_deliveries_total", "outcome", where=f'{{outcome!~"{DONE}|{NOT_NOW}"}}'),
                        "{{outcome}}",
                    ),
                    says="A 4xx, which SNS takes for delivered.",
                ),
                course(
                    "In flight",
                    "short",
                    Query("sum by (instance) (ingest_deliveries_in_flight)", "{{instance}}"),
                ),
            ),
        ),
        Row(
            "Times",
            (
                course(
                    "From a request until Kafka has its record",
                    "s",
                    *times("ingest_delivery_seconds"),
                    says="SNS waits 15 s.",
                ),
                course(
                    "Of that, waiting for Kafka",
                    "s",
                    *times("ingest_publish_seconds"),
                    says="Where this is the larger part, Kafka is slow.",
                ),
                course(
                    "Calls to SNS",
                    "short",
                    Query(rises("ingest_sns_calls_total", "purpose", "result"), "{{purpose}} {{result}}"),
                ),
            ),
            3,
        ),
    ),
)
