"""What schemathesis knows beyond the schema; it loads this module itself (`SCHEMATHESIS_HOOKS`).

A schema cannot say how one parameter bounds another (a range and its length, `limit` and `group_by`), nor
what is a time zone, a scope or a cursor. Queries that keep to the schema are made to keep to that too; those
that break the schema are left as they are.
"""

from typing import Any

import schemathesis
from hypothesis import strategies as st
from schemathesis.generation import GenerationMode

from api.query.query import write_cursor

schemathesis.openapi.format("iana-timezone", st.sampled_from(["UTC", "Etc/GMT+5", "Asia/Kolkata"]))
schemathesis.openapi.format("scope", st.sampled_from(["sequence", "template", "campaign"]))
schemathesis.openapi.format("cursor", st.text(st.characters(codec="utf-8"), min_size=1).map(write_cursor))


@schemathesis.hook
def before_call(_context: Any, case: Any, _kwargs: dict[str, Any]) -> None:
    """See above."""
    if case.meta is not None and case.meta.generation.mode is GenerationMode.NEGATIVE:
        return
    query = case.query
    if "limit" in query and case.operation.path == "/api/metrics":
        query.setdefault("group_by", "sequence")
    if "from" in query:
        query["to"] = query["from"]  # a day, or a moment
    elif query.get("period") == "hour":
        query["period"] = "day"
