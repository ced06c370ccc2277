"""Every error that leaves the application is a problem of our table; the framework's own never show."""

from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.errors import INTERNAL, INVALID_PARAMETER, METHOD_NOT_ALLOWED, NOT_FOUND, ApiError
from api.http import request_ids
from schemas.shared.problems import problem

NO_PATH: Final = "There is no such path. `/docs` shows those that there are."

_OF_HTTP: Final = {error.status: error for error in (NOT_FOUND, METHOD_NOT_ALLOWED)}


def refuse_as_problems(app: FastAPI) -> None:
    """Install the handlers of all errors."""

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        return problem_of(request, error)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> Response:
        code = _OF_HTTP.get(error.status_code, INTERNAL)
        detail = NO_PATH if code is NOT_FOUND else code.meaning
        return problem_of(request, ApiError(code, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, _error: RequestValidationError) -> Response:
        return problem_of(request, ApiError(INVALID_PARAMETER, INVALID_PARAMETER.meaning))

    app.add_exception_handler(Exception, defect)


def problem_of(request: Request, error: ApiError) -> Response:
    """The response that reports an error to whoever asked."""
    return problem(
        error.code.code,
        error.code.status,
        error.detail,
        {**getattr(request.state, "headers", {}), **error.headers},
        parameter=error.parameter,
        request_id=request_ids.request_id_of(request),
    )


async def defect(request: Request, _error: Exception) -> Response:
    """The response to a defect. Starlette raises it again after that, and the server logs its traceback."""
    response = problem_of(request, ApiError(INTERNAL, INTERNAL.meaning))
    # It is made outside of the middleware that adds this to all others.
    response.headers[request_ids.HEADER] = request_ids.request_id_of(request)
    return response
