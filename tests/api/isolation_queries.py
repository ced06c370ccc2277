"""What the long form of the isolation test asks: paths and queries, for every id of two tenants.

Drawn from the API's own description by schemathesis, and beside them fixed ones, so that no route and no
parameter is left to chance.
"""

from collections.abc import Iterable, Iterator, Sequence
from itertools import cycle, product
from typing import Any
from urllib.parse import quote, urlencode

import schemathesis
from hypothesis import strategies as st
from schemathesis.core.result import Ok
from schemathesis.generation import GenerationMode

from api.app import create_app
from api.config import ApiSettings
from api.query.parameters import COMPARISONS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from api.query.periods import PERIODS
from api.query.query import write_cursor
from tests.api import schema_hooks as _formats  # noqa: F401  # schemathesis learns of our formats
from tests.api.conftest import FixedKeys
from tests.api.test_isolation import SPAN, TWISTS, encoded
from tests.api.writer import SCOPES

KINDS = ("sequences", "templates", "by/campaign", "by/isp")
NO_SCOPES = ("by/tenant", "by/step")
ZONES = (
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "America/St_Johns",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "America/New_York",
)
"""Most of them off the hour, as their quarters are read by another way."""

OF_SCOPE = tuple(
    {"period": period, "timezone": zone, "fields": "all", "include": "rates,status", "compare": compare}
    for period, zone, compare in zip(
        (*PERIODS, "day", "week"), ZONES, (*COMPARISONS, *COMPARISONS, *COMPARISONS), strict=True
    )
)
"""Queries that every id is asked with, by whatever schemathesis draws beside them."""

OF_TENANT = tuple(
    {**query, "include": "rates,status,health", "group_by": group_by, "limit": limit}
    for (query, group_by), limit in zip(product(OF_SCOPE, SCOPES), cycle(("1", "3", "1000")), strict=False)
)
"""The same of the whole tenant, by every scope, with its health."""

PLAIN_TWISTS = 3
"""How many of the twists are tried on every id; all of them have made the other tenant's names."""


def targets_of(ids: set[str], drawn: Sequence[Any]) -> Iterator[str]:
    """Paths and queries: each query of schemathesis's once as it is, and its parameters for every id.

    ids: of both tenants. Of a query that breaks the schema only itself is asked: for any id it is refused.
    """
    queries: list[dict[str, str]] = [{}]
    for case in drawn:
        request = case.as_transport_kwargs(base_url="")
        params = request["params"]
        query = params if isinstance(params, str) else urlencode(params or {})
        yield f"{request['url']}?{query}".rstrip("?")
        if case.meta.generation.mode is GenerationMode.POSITIVE:
            queries.append({name: str(value) for name, value in case.query.items()})
    for path in ("", *(f"/{kind}" for kind in (*KINDS, *NO_SCOPES)), "/by", "/fields"):
        yield f"/api/metrics{path}"
    yield from _spanned("/api/metrics", [*queries, *OF_TENANT], TENANT_PARAMETERS)
    for kind, raw in product(KINDS, sorted(ids)):
        yield from _spanned(f"/api/metrics/{kind}/{encoded(raw)}", [*queries, *OF_SCOPE], SCOPE_PARAMETERS)
        yield f"/api/metrics/{kind}?limit=2&cursor={write_cursor(raw)}"
        for twist in TWISTS[1:PLAIN_TWISTS]:
            yield f"/api/metrics/{kind}/{encoded(twist(raw))}?{SPAN}"
    for raw in sorted(ids):
        yield f"/api/metrics/by/{encoded(raw)}"
        for scope in (*NO_SCOPES, encoded(raw)):
            yield f"/api/metrics/by/{scope}/{encoded(raw)}?{SPAN}&fields=all"


def _spanned(path: str, queries: Iterable[dict[str, str]], known: Iterable[str]) -> list[str]:
    """A path with each query, over the days that have counts, in the parameters that its route knows."""
    fits = []
    for query in queries:
        kept = {name: query[name] for name in known if name in query and name not in ("from", "to")}
        if "limit" in kept:
            kept.setdefault("group_by", "sequence")
        fits.append("&".join([SPAN, *(f"{name}={quote(value)}" for name, value in kept.items())]))
    return [f"{path}?{query}" for query in dict.fromkeys(fits)]


def queries_of_schema() -> st.SearchStrategy[Any]:
    """What schemathesis makes of the API's description: what it allows, and what it does not."""
    app = create_app(ApiSettings(), keys=FixedKeys())
    schema = schemathesis.openapi.from_dict(app.openapi())
    routes = [route.ok() for route in schema.get_all_operations() if isinstance(route, Ok)]
    modes = (GenerationMode.POSITIVE, GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
    return st.one_of([route.as_strategy(generation_mode=mode) for route in routes for mode in modes])
