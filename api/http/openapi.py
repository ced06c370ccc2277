"""What OpenAPI says of the metrics routes, from the tables of parameters, errors and models. Pure.

Operation ids are the method names of the clients.
"""

from collections.abc import Mapping, Sequence
from typing import Any, Final

from api.errors import ERRORS, METHOD_NOT_ALLOWED, NOT_FOUND, ErrorCode
from api.http.request_ids import HEADER as REQUEST_ID
from api.query.freshness import HEADER as COMPLETE_THROUGH
from api.query.parameters import PARAMETERS
from schemas.shared.server import PROBLEM_JSON, Problem

DESCRIPTION: Final = """Email metrics of one tenant by hour, day, week or month, and how complete they are.

The tenant comes from the API key and from nowhere else. Every error is a problem (RFC 9457) with a `code`.
Answers carry an `ETag`: ask again with `If-None-Match` and an answer without news is a 304 without a body.
With `Accept: text/csv` the points (or the groups and others) come as CSV, and nothing else of the body.
"""

METRICS_EXAMPLE: Final[Mapping[str, Any]] = {
    "period": "day",
    "from": "2025-09-01T00:00:00.000Z",
    "to": "2025-09-15T23:59:59.999Z",
    "complete_through": "2025-09-17T13:45:11.000Z",
    "totals": {
        "sent": 12500,
        "delivered": 12100,
        "opened": 4800,
        "clicked": 1200,
        "bounced": 350,
        "complained": 50,
    },
    "timeseries": [
        {
            "timestamp": "2025-09-01T00:00:00.000Z",
            "sent": 850,
            "delivered": 830,
            "opened": 320,
            "clicked": 80,
            "bounced": 18,
            "complained": 2,
        },
        {
            "timestamp": "2025-09-02T00:00:00.000Z",
            "sent": 920,
            "delivered": 900,
            "opened": 350,
            "clicked": 95,
            "bounced": 15,
            "complained": 5,
        },
    ],
}
IDS_EXAMPLE: Final[Mapping[str, Any]] = {
    "items": [{"id": "onboarding"}],
    "next_cursor": "b25ib2FyZGluZw",
    "complete_through": "2025-09-17T13:45:11.000Z",
}

_TEXT: Final = {"schema": {"type": "string"}}
_HEADERS: Final[Mapping[str, Any]] = {
    REQUEST_ID: {"description": "The name of this request.", "required": True, **_TEXT},
    "RateLimit": {"description": "What is left to the key (`r`) and until when (`t`, s).", **_TEXT},
    "RateLimit-Policy": {"description": "What a key may ask (`q`) in a window (`w`, s).", **_TEXT},
}
_NUMBERS: Final[Mapping[str, Any]] = {
    **_HEADERS,
    COMPLETE_THROUGH: {"description": "`complete_through`; absent before there is one.", **_TEXT},
    "ETag": {"description": "Weak; over the numbers and what else was asked for.", "required": True, **_TEXT},
    "Cache-Control": {"description": "Longer for what is past.", "required": True, **_TEXT},
    "Vary": {"description": "Authorization and Accept.", "required": True, **_TEXT},
}


def operation(
    name: str, model: type, parameters: Sequence[str], example: Mapping[str, Any], *, has_id: bool = False
) -> dict[str, Any]:
    """The keyword arguments of a route: its id, its parameters and its answers.

    name: the client's method; model: the body; parameters: the names of what it knows; has_id: whether
    its path names one thing, which may not be there.
    """
    told = [{"name": each, "in": "query", **PARAMETERS[each]} for each in parameters]
    return {
        "operation_id": name,
        "tags": ["metrics"],
        "response_model": model,
        "responses": {
            200: {
                "description": "The answer.",
                "headers": _NUMBERS,
                "content": {"application/json": {"example": example}, "text/csv": _TEXT},
            },
            304: {"description": "Nothing new since the answer of this `ETag`.", "headers": _NUMBERS},
            **_errors(has_id=has_id),
        },
        "openapi_extra": {"parameters": told},
    }


def _errors(*, has_id: bool) -> dict[int | str, dict[str, Any]]:
    unmet = (METHOD_NOT_ALLOWED,) if has_id else (METHOD_NOT_ALLOWED, NOT_FOUND)
    by_status: dict[int, list[ErrorCode]] = {}
    for error in ERRORS:
        if error not in unmet:
            by_status.setdefault(error.status, []).append(error)
    return {
        **{status: _problem(rows) for status, rows in by_status.items()},
        "default": _problem(ERRORS),
    }


def _problem(rows: Sequence[ErrorCode]) -> dict[str, Any]:
    schema = Problem.model_json_schema()
    schema["properties"]["code"]["enum"] = [row.code for row in rows]
    always = {name for row in rows for name in row.headers if all(name in other.headers for other in rows)}
    headers = {name: {"required": True, **_TEXT} for name in sorted(always)}
    return {
        "description": " ".join(f"`{row.code}`: {row.meaning}" for row in rows),
        "headers": {REQUEST_ID: _HEADERS[REQUEST_ID], **headers},
        "content": {PROBLEM_JSON: {"schema": schema}},
    }
