"""What the tenants do: the business numbers of the service, and who is in trouble."""

from typing import Final

from deploy.grafana.panels import Board, Query, Row
from deploy.grafana.queries import course, number, rate, rises


def _told(kind: str, span: str = "1h") -> str:
    return rises("aggregator_facts_by_kind_total", span=span, where=f'{{kind="{kind}"}}')


MAIL: Final = Board(
    "mail",
    "mail",
    (
        Row(
            "The last 24 hours, of all tenants together",
            tuple(
                number(
                    title, "short", _told(kind, "24h"), says="As events told it: duplicates count twice here."
                )
                for title, kind in (
                    ("Sent", "sent"),
                    ("Delivered", "delivered"),
                    ("Bounced for good", "bounced_hard"),
                    ("Complained of", "complained"),
                    ("Opened by people", "opened_human"),
                    ("Clicked by people", "clicked_human"),
                )
            ),
            6,
        ),
        Row(
            "Mail",
            (
                course(
                    "What happened",
                    "cps",
                    Query(rate("aggregator_facts_by_kind_total", "kind"), "{{kind}}"),
                    says="Facts by kind, as events told them. Exact numbers are the API's.",
                ),
                course(
                    "Rates of an hour",
                    "percentunit",
                    Query(f"{_told('bounced_hard')} / {_told('sent')}", "bounced for good / sent"),
                    Query(f"{_told('complained')} / {_told('delivered')}", "complained / delivered"),
                    says="SES begins to worry at 5 % and 0.1 %.",
                ),
                course(
                    "Delivered, and read by people",
                    "percentunit",
                    Query(f"{_told('delivered')} / {_told('sent')}", "delivered / sent"),
                    Query(f"{_told('opened_human')} / {_told('delivered')}", "opened / delivered"),
                    Query(f"{_told('clicked_human')} / {_told('delivered')}", "clicked / delivered"),
                ),
                course(
                    "Events stored",
                    "reqps",
                    Query(rate("ingest_deliveries_total", where='{outcome="stored"}'), "events"),
                ),
            ),
        ),
        Row(
            "Tenants (their health where an API has HEALTH_METRICS=true)",
            (
                number("API keys", "short", "max(api_keys_known)", says="Revoked ones too."),
                course(
                    "In trouble with SES",
                    "short",
                    Query("sum(max by (tenant) (api_tenant_health) == bool 2)", "critical"),
                    Query("sum(max by (tenant) (api_tenant_health) == bool 1)", "warning"),
                ),
                course(
                    "The ten worst rates of 7 days",
                    "percentunit",
                    Query("topk(10, max by (tenant, rate) (api_tenant_rate))", "{{tenant}} {{rate}}"),
                ),
                number(
                    "Age of the survey",
                    "s",
                    "time() - (max(api_tenant_health_seen_timestamp_seconds) > 0)",
                ),
                course(
                    "The ten scopes with most ids",
                    "short",
                    Query("topk(10, max by (tenant, scope) (aggregator_known_ids))", "{{tenant}} {{scope}}"),
                    says="From a thousand ids on. One that grows with each mail fills Redis.",
                ),
                course(
                    "Scopes with very many ids",
                    "short",
                    Query("sum(aggregator_scopes_of_many_ids)", "scopes"),
                ),
            ),
            3,
        ),
    ),
)
