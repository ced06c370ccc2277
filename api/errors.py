"""Every way in which the API refuses: one table of codes. Pure.

The codes are an outside contract. Where several fit, they are checked in this order: 503, 401, 429, 400, 404.
OpenAPI and `/docs` are written from this table.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class ErrorCode:
    """One row of the table.

    code: the word that a client compares; status: the HTTP status; meaning: a sentence for the
    documentation; headers: what every such response carries.
    """

    code: str
    status: int
    meaning: str
    headers: Mapping[str, str] = field(default_factory=dict)


UNAVAILABLE: Final = ErrorCode(
    "UNAVAILABLE", 503, "The counters or the keys cannot be read at the moment.", {"Retry-After": "5"}
)
UNAUTHORIZED: Final = ErrorCode(
    "UNAUTHORIZED", 401, "There is no valid API key in the request.", {"WWW-Authenticate": "Bearer"}
)
INVALID_PERIOD: Final = ErrorCode("INVALID_PERIOD", 400, "`period` is none of hour, day, week, month.")
INVALID_RANGE: Final = ErrorCode("INVALID_RANGE", 400, "`from` or `to` is no time, or `from` is after `to`.")
RANGE_TOO_LARGE: Final = ErrorCode("RANGE_TOO_LARGE", 400, "The answer would have more than 10,000 points.")
INVALID_PARAMETER: Final = ErrorCode(
    "INVALID_PARAMETER", 400, "A parameter is unknown, repeated, empty, or has a value that it cannot have."
)
INVALID_TIMEZONE: Final = ErrorCode("INVALID_TIMEZONE", 400, "`timezone` is no IANA name of a time zone.")
NOT_FOUND: Final = ErrorCode("NOT_FOUND", 404, "Nothing with this id, or no such path.")
METHOD_NOT_ALLOWED: Final = ErrorCode("METHOD_NOT_ALLOWED", 405, "The path does not know this method.")
RATE_LIMITED: Final = ErrorCode(
    "RATE_LIMITED",
    429,
    "The key has asked too much, or its tenant too much at once: see `detail`, and `Retry-After`.",
)
INTERNAL: Final = ErrorCode("INTERNAL", 500, "The API has a defect; its log says more.")

ERRORS: Final = (
    UNAVAILABLE,
    UNAUTHORIZED,
    INVALID_PERIOD,
    INVALID_RANGE,
    RANGE_TOO_LARGE,
    INVALID_PARAMETER,
    INVALID_TIMEZONE,
    NOT_FOUND,
    METHOD_NOT_ALLOWED,
    RATE_LIMITED,
    INTERNAL,
)


class ApiError(Exception):
    """The request is refused: the client gets `code` and `detail`, and nothing else happens.

    parameter: the name of the parameter that is to blame, where it is one; headers: of this response alone.
    """

    def __init__(
        self,
        code: ErrorCode,
        detail: str,
        parameter: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.code = code
        self.detail = detail
        self.parameter = parameter
        self.headers = {**code.headers, **(headers or {})}
