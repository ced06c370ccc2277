"""The query parameters of the metrics routes, as one table: what is accepted and what OpenAPI says. Pure."""

from collections.abc import Iterable, Mapping
from typing import Any, Final

from api.errors import ERRORS, INVALID_PARAMETER, METHOD_NOT_ALLOWED, ApiError
from api.rollup import DEFAULT_PERIOD, PERIODS
from schemas.http import PROBLEM_JSON, Problem

_TIME: Final = {"type": "string", "examples": ["2025-09-01T00:00:00.000Z", "2025-09-01"]}

PARAMETERS: Final[Mapping[str, dict[str, Any]]] = {
    "period": {
        "description": "The length of a point.",
        "schema": {"type": "string", "enum": list(PERIODS), "default": DEFAULT_PERIOD},
    },
    "from": {
        "description": "Start, ISO 8601. Default: so that 24 hours, 30 days, 12 weeks or 12 months come.",
        "schema": _TIME,
    },
    "to": {"description": "End, included, ISO 8601. Default: now.", "schema": _TIME},
}
"""Name to its OpenAPI description. Any other parameter is refused by name."""


def read_parameters(items: Iterable[tuple[str, str]]) -> dict[str, str]:
    """The parameters of a request, each at most once and none empty.

    items: names and values in the order of the query string.
    Raises: ApiError INVALID_PARAMETER.
    """
    given: dict[str, str] = {}
    for name, value in items:
        if name not in PARAMETERS:
            known = ", ".join(PARAMETERS)
            raise ApiError(INVALID_PARAMETER, f"There is no parameter `{name}`. Known are {known}.")
        if name in given:
            raise ApiError(INVALID_PARAMETER, f"`{name}` is given more than once.")
        if not value:
            raise ApiError(INVALID_PARAMETER, f"`{name}` is empty. Leave it out for its default.")
        given[name] = value
    return given


def documentation() -> dict[str, Any]:
    """The part of OpenAPI that all metrics routes share: FastAPI's `responses` and `openapi_extra`."""
    schema = Problem.model_json_schema()
    meanings: dict[int, list[str]] = {}
    for error in ERRORS:
        if error is not METHOD_NOT_ALLOWED:
            meanings.setdefault(error.status, []).append(f"`{error.code}`: {error.meaning}")
    responses: dict[int | str, dict[str, Any]] = {
        status: {"description": " ".join(lines), "content": {PROBLEM_JSON: {"schema": schema}}}
        for status, lines in meanings.items()
    }
    responses["default"] = {
        "description": "Every error is a problem with a `code`.",
        "content": {PROBLEM_JSON: {"schema": schema}},
    }
    parameters = [{"name": name, "in": "query", **told} for name, told in PARAMETERS.items()]
    return {"responses": responses, "openapi_extra": {"parameters": parameters}}
