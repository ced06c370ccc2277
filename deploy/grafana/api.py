"""What is asked of the API, how fast it answers, and whether it hears of keys."""

from typing import Final

from deploy.grafana.panels import Board, Query, Row
from deploy.grafana.queries import course, number, rate, times

API: Final = Board(
    "api",
    "API",
    (
        Row(
            "Now",
            (
                number("Can answer", "short", "min(api_ready)"),
                number(
                    "Follows the keys", "short", "min(api_keys_followed)", says="0: revoked keys still open."
                ),
                number("Requests", "reqps", rate("api_requests_total", where='{route=~"/api/.*"}')),
                number("In work", "short", "sum(api_requests_in_flight)", says="Scrapes among them."),
            ),
            4,
        ),
        Row(
            "Requests",
            (
                course("By route", "reqps", Query(rate("api_requests_total", "route"), "{{route}}")),
                course("By status", "reqps", Query(rate("api_requests_total", "status"), "{{status}}")),
                course(
                    "Share of 5xx",
                    "percentunit",
                    Query(
                        rate("api_requests_total", where='{status=~"5..",route=~"/api/.*"}')
                        + " / "
                        + rate("api_requests_total", where='{route=~"/api/.*"}'),
                        "5xx",
                    ),
                ),
                course(
                    "In work", "short", Query("sum by (instance) (api_requests_in_flight)", "{{instance}}")
                ),
            ),
        ),
        Row(
            "Times",
            (
                course("From request to answer", "s", *times("api_request_seconds")),
                course(
                    "99 % within, by route",
                    "s",
                    Query(
                        f"histogram_quantile(0.99, {rate('api_request_seconds_bucket', 'le', 'route')})",
                        "{{route}}",
                    ),
                ),
                course("Reading from Redis", "s", *times("api_redis_read_seconds")),
            ),
            3,
        ),
        Row(
            "Keys",
            (
                course(
                    "Age of what is known of keys",
                    "s",
                    Query("time() - (api_keys_heard_timestamp_seconds > 0)", "{{instance}}"),
                    says="Grows while the topic of keys cannot be read: no revocation is heard of.",
                ),
                course(
                    "Records not known yet",
                    "short",
                    Query("sum by (instance) (api_keys_lag_records)", "{{instance}}"),
                    Query("sum by (instance) (api_keys_unreadable_records)", "unreadable, {{instance}}"),
                ),
                course(
                    "Offset that is read next",
                    "short",
                    Query("sum by (instance) (api_keys_next_offset)", "{{instance}}"),
                    says="All APIs are at the same one, but for moments.",
                ),
            ),
            3,
        ),
    ),
)
