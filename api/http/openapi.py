"""The OpenAPI description of the metrics routes, from the tables of parameters, errors and models. Pure.

What it says of one route stands beside that route (`api.http.routes`), as an `Operation`. Operation ids are
the method names of the clients.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, Final

import msgspec
from fastapi.openapi.models import OpenAPI
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from api.errors import ERRORS, INTERNAL, INVALID_PARAMETER, METHOD_NOT_ALLOWED, NOT_FOUND, ErrorCode
from api.http.request_ids import HEADER as REQUEST_ID
from api.query.freshness import HEADER as COMPLETE_THROUGH
from api.query.parameters import Parameters
from api.query.tables import ids_csv, metrics_csv
from api.sharing.costs import HEADER as QUERY_COST
from api.sharing.costs import RULES
from schemas.shared.problems import PROBLEM_JSON, Problem
from schemas.shared.process_metrics import VERSION

TITLE: Final = "SES metrics"
DESCRIPTION: Final = """Email metrics of one tenant by hour, day, week or month, and how complete they are.

The tenant comes from the API key and from nowhere else. Every error is a problem (RFC 9457) with a `code`.
Answers carry an `ETag`: ask again with `If-None-Match` and an answer without news is a 304 without a body.
With `Accept: text/csv` the points (or the groups and others) come as CSV, and nothing else of the body.

## Costs

{costs}

## Errors

Where several fit, they are judged in the order 503, 401, 429, 400, 404.

| `code` | status | meaning |
| --- | --- | --- |
{errors}
""".format(
    costs=RULES, errors="\n".join(f"| `{row.code}` | {row.status} | {row.meaning} |" for row in ERRORS)
)
LICENSE: Final = {"name": "Apache License 2.0", "identifier": "Apache-2.0"}
SERVERS: Final = [{"url": "/", "description": "Where this description comes from."}]
TAG: Final = {"name": "metrics", "description": "The numbers, and by what they can be asked."}

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
SCOPES_EXAMPLE: Final[Mapping[str, Any]] = {
    "items": [{"id": "sequence"}, {"id": "template"}, {"id": "campaign"}],
    "next_cursor": None,
    "complete_through": "2025-09-17T13:45:11.000Z",
}
IDS_EXAMPLE: Final[Mapping[str, Any]] = {
    "items": [{"id": "onboarding"}],
    "next_cursor": "b25ib2FyZGluZw",
    "complete_through": "2025-09-17T13:45:11.000Z",
}

_TEXT: Final[Mapping[str, Any]] = {"schema": {"type": "string"}}
_EXAMPLE_ID: Final = "0f8fad5bd9cb469fa16570867728950e"
_EXAMPLE_TAG: Final = 'W/"3a6eb0790f39ac87c94f3856"'


def _header(description: str, example: str, *, required: bool = True) -> dict[str, Any]:
    return {"description": description, "required": required, **_TEXT, "example": example}


_REQUEST_ID: Final = {REQUEST_ID: _header("The name of this request.", _EXAMPLE_ID)}
_CACHED: Final[Mapping[str, Any]] = {
    **_REQUEST_ID,
    "ETag": _header("Weak; over the numbers and what else was asked for.", _EXAMPLE_TAG),
    "Cache-Control": _header("Longer for what is past.", "private, max-age=300"),
}
_NUMBERS: Final[Mapping[str, Any]] = {
    **_CACHED,
    QUERY_COST: _header("What the query costs: see Costs.", "1", required=False),
    "RateLimit": _header(
        "What is left to the key (`r`) and until when (`t`, s).", '"key";r=999;t=1', required=False
    ),
    "RateLimit-Policy": _header(
        "What the queries of a key may cost (`q`) in a window (`w`, s).", '"key";q=1000;w=1', required=False
    ),
    COMPLETE_THROUGH: _header(
        "`complete_through`; absent before there is one.", "2025-09-17T13:45:11.000Z", required=False
    ),
    "Vary": _header("Authorization and Accept.", "Authorization, Accept"),
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
class PathParameter:
    """A piece of a path: its name, a description, an example, and its format where it has one."""

    name: str
    description: str
    example: str
    format: str | None = None


@dataclass(frozen=True, slots=True)
class Operation:
    """What the description says of the GET of one path.

    id: the method of the clients; summary, description: for people; body: the model of its answer; example:
    one such answer; query: the parameters that it knows; path: those in its path; is_public:
    whether it takes no key, and so has nothing of a tenant in its answer.
    """

    id: str
    summary: str
    description: str
    body: type[BaseModel]
    example: Mapping[str, Any]
    query: Parameters
    path: Sequence[PathParameter] = ()
    is_public: bool = False


def document(operations: Mapping[str, Operation]) -> dict[str, Any]:
    """The whole description, as JSON. operations: by path."""
    models = dict.fromkeys(operation.body for operation in operations.values())
    _, schemas = models_json_schema([(model, "serialization") for model in models], ref_template=_REF)
    described = {
        "openapi": "3.1.0",
        "info": {"title": TITLE, "version": VERSION, "description": DESCRIPTION, "license": LICENSE},
        "servers": SERVERS,
        "tags": [TAG],
        "paths": {path: {"get": _operation(each)} for path, each in operations.items()},
        "components": {"schemas": dict(sorted(schemas["$defs"].items())), "securitySchemes": _SCHEMES},
    }
    OpenAPI.model_validate(described)
    return described


def _operation(operation: Operation) -> dict[str, Any]:
    query = [{"name": name, "in": "query", **described} for name, described in operation.query.items()]
    headers = _CACHED if operation.is_public else _NUMBERS
    return {
        "tags": [TAG["name"]],
        "summary": operation.summary,
        "description": operation.description,
        "operationId": operation.id,
        "security": [] if operation.is_public else [{_SCHEME: []}],
        "parameters": [*map(_path_parameter, operation.path), *query],
        "responses": {
            "200": {"description": "The answer.", "content": _content(operation), "headers": headers},
            "304": {"description": "Nothing new since the answer of this `ETag`.", "headers": headers},
            **_errors(operation),
        },
    }


def _path_parameter(each: PathParameter) -> dict[str, Any]:
    schema = {"type": "string", "description": each.description, "title": each.name.title()}
    if each.format is not None:
        schema["format"] = each.format
    return {
        "name": each.name,
        "in": "path",
        "required": True,
        "schema": schema,
        "description": each.description,
        "example": each.example,
    }


def _content(operation: Operation) -> dict[str, Any]:
    model = {"$ref": _REF.format(model=operation.body.__name__)}
    content: dict[str, Any] = {"application/json": {"schema": model, "example": operation.example}}
    if not operation.is_public:
        content["text/csv"] = {**_TEXT, "example": _csv(operation.example)}
    return content


def _csv(example: Mapping[str, Any]) -> str:
    if "items" in example:
        return ids_csv([each["id"] for each in example["items"]])
    return metrics_csv({**example, "timeseries": msgspec.json.encode(example["timeseries"])})


def _errors(operation: Operation) -> dict[str, Any]:
    if operation.is_public:
        met: Sequence[ErrorCode] = (INVALID_PARAMETER, INTERNAL)
    else:
        unmet = (METHOD_NOT_ALLOWED,) if operation.path else (METHOD_NOT_ALLOWED, NOT_FOUND)
        met = [error for error in ERRORS if error not in unmet]
    by_status: dict[str, list[ErrorCode]] = {}
    for error in met:
        by_status.setdefault(str(error.status), []).append(error)
    return {
        **{status: _problem(rows, rows) for status, rows in by_status.items()},
        "default": _problem(ERRORS, (METHOD_NOT_ALLOWED,)),
    }


def _problem(rows: Sequence[ErrorCode], shown: Sequence[ErrorCode]) -> dict[str, Any]:
    """The response of some errors. shown: those of which there is an example."""
    schema = Problem.model_json_schema()
    schema["properties"]["code"]["enum"] = [row.code for row in rows]
    always = {name for row in rows for name in row.headers if all(name in other.headers for other in rows)}
    headers = {name: {"required": True, **_TEXT, "example": rows[0].headers[name]} for name in sorted(always)}
    return {
        "description": " ".join(f"`{row.code}`: {row.meaning}" for row in rows),
        "headers": {**_REQUEST_ID, **headers},
        "content": {
            PROBLEM_JSON: {
                "schema": schema,
                "examples": {row.code: {"value": _problem_example(row)} for row in shown},
            }
        },
    }


def _problem_example(row: ErrorCode) -> dict[str, Any]:
    title = HTTPStatus(row.status).phrase
    problem = Problem(
        title=title, status=row.status, code=row.code, detail=row.meaning, request_id=_EXAMPLE_ID
    )
    return problem.model_dump(exclude_none=True)
