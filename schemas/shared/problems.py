"""How an error looks, in all programs that speak HTTP: problem details (RFC 9457), never cached.

Each has a `code` that programs can compare.
"""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Final

from pydantic import BaseModel, Field
from starlette.responses import JSONResponse

PROBLEM_JSON: Final = "application/problem+json"


class Problem(BaseModel):
    """The body of every error (RFC 9457)."""

    type: str = Field(default="about:blank", description="The code says all; there is no page to read.")
    title: str = Field(description="The words of the HTTP status.")
    status: int = Field(description="The HTTP status.")
    code: str = Field(description="What went wrong, as a word that does not change.")
    detail: str = Field(description="What went wrong here, and what to do about it.")
    parameter: str | None = Field(default=None, description="The parameter to blame, where it is one.")
    request_id: str | None = Field(default=None, description="Name it when you ask about this answer.")


class ProblemResponse(JSONResponse):
    """A JSON response of the media type that marks a problem."""

    media_type = PROBLEM_JSON


def problem(
    code: str,
    status: int,
    detail: str,
    headers: Mapping[str, str] | None = None,
    *,
    parameter: str | None = None,
    request_id: str | None = None,
) -> ProblemResponse:
    """The response that reports an error to a client.

    code: the stable word for it; status: the HTTP status; detail: a sentence for a person;
    headers: further response headers (`Retry-After`, `WWW-Authenticate`); parameter, request_id: as in
    `Problem`, absent where not given.
    """
    body = Problem(
        title=HTTPStatus(status).phrase,
        status=status,
        code=code,
        detail=detail,
        parameter=parameter,
        request_id=request_id,
    )
    return ProblemResponse(
        body.model_dump(exclude_none=True),
        status_code=status,
        headers={"Cache-Control": "no-store", **(headers or {})},
    )
