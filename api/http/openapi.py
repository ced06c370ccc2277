"""The OpenAPI description of the metrics routes, from the tables of parameters, errors and models. Pure.

What it says of one route stands beside that route (`api.http.routes`), as an `Operation`. Operation ids are
the method names of the clients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from fastapi.encoders import jsonable_encoder
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.errors import ERRORS, METHOD_NOT_ALLOWED, NOT_FOUND, ErrorCode
from api.http.request_ids import HEADER as REQUEST_ID
from api.query.freshness import HEADER as COMPLETE_THROUGH
from api.query.parameters import Parameters
from schemas.shared.server import PROBLEM_JSON, Problem

TITLE: Final = "SES metrics"
VERSION: Final = "1"
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
_SCHEME: Final = "HTTPBearer"
_SCHEMES: Final[Mapping[str, Any]] = {
    _SCHEME: {
        "type": "http",
        "scheme": "bearer",
        "description": "An API key, as `python -m api keys create` prints it.",
    }
}
_REF: Final = "#/components/schemas/{model}"


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description says of the GET of one path.

    id: the method of the clients; summary, description: for people; body: the model of its answer; example:
    one such answer; query: the parameters that it knows; path_id: the description and an example
    of the `id` in its path, None where it has none.
    """

    id: str
    summary: str
    description: str
    body: type[BaseModel]
    example: Mapping[str, Any]
    query: Parameters
    path_id: tuple[str, str] | None = None


def document(operations: Mapping[str, Operation]) -> dict[str, Any]:
    """The whole description, as JSON. operations: by path."""
    models = dict.fromkeys(operation.body for operation in operations.values())
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    described = OpenAPI.model_validate(
        {
            "openapi": "3.1.0",
            "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION},
            "paths": {path: {"get": _operation(each)} for path, each in operations.items()},
            "components": {"schemas": dict(sorted(schemas["$defs"].items())), "securitySchemes": _SCHEMES},
        }
    )
    return dict(jsonable_encoder(described, by_alias=True, exclude_none=True))


def _operation(operation: Operation) -> dict[str, Any]:
    query = [{"name": name, "in": "query", **described} for name, described in operation.query.items()]
    return {
        "tags": ["metrics"],
        "summary": operation.summary,
        "description": operation.description,
        "operationId": operation.id,
        "security": [{_SCHEME: []}],
        "parameters": [*_path_id(operation.path_id), *query],
        "responses": {
            "200": {
                "description": "The answer.",
                "content": {
                    "application/json": {
                        "schema": {"$ref": _REF.format(model=operation.body.__name__)},
                        "example": operation.example,
                    },
                    "text/csv": _TEXT,
                },
                "headers": _NUMBERS,
            },
            "304": {"description": "Nothing new since the answer of this `ETag`.", "headers": _NUMBERS},
            **_errors(has_id=operation.path_id is not None),
        },
    }


def _path_id(described: tuple[str, str] | None) -> list[dict[str, Any]]:
    if described is None:
        return []
    description, example = described
    schema = {"type": "string", "description": description, "examples": [example], "title": "Id"}
    return [{"name": "id", "in": "path", "required": True, "schema": schema, "description": description}]


def _errors(*, has_id: bool) -> dict[str, Any]:
    unmet = (METHOD_NOT_ALLOWED,) if has_id else (METHOD_NOT_ALLOWED, NOT_FOUND)
    by_status: dict[str, list[ErrorCode]] = {}
    for error in ERRORS:
        if error not in unmet:
            by_status.setdefault(str(error.status), []).append(error)
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
