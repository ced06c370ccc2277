"""Every error that leaves the application is a problem of our table; the framework's own never show."""

from typing import Final

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException

from api.errors import INTERNAL, INVALID_PARAMETER, METHOD_NOT_ALLOWED, NOT_FOUND, ApiError
from api.http import request_ids
from schemas.shared.problems import problem

NO_PATH: Final = "There is no such path. `/docs` shows those that there are."


def refuse_as_problems(app: FastAPI) -> None:
    """Install the handlers of all errors."""
    http_codes = {error.status: error for error in (NOT_FOUND, METHOD_NOT_ALLOWED)}

    def response_to(request: Request, error: ApiError) -> Response:
        name = request_ids.request_id_of(request)
        headers = {
            **getattr(request.state, "headers", {}),
            **error.headers,
            # An answer to a defect is made outside of the middleware that adds it to all others.
            request_ids.HEADER: name,
        }
        return problem(
            error.code.code,
            error.code.status,
            error.detail,
            headers,
            parameter=error.parameter,
            request_id=name,
        )

    @app.exception_handler(ApiError)
    async def refused(request: Request, error: ApiError) -> Response:
        return response_to(request, error)

    @app.exception_handler(HTTPException)
    async def not_routed(request: Request, error: HTTPException) -> Response:
        code = http_codes.get(error.status_code, INTERNAL)
        detail = NO_PATH if code is NOT_FOUND else code.meaning
        return response_to(request, ApiError(code, detail, headers=error.headers))

    @app.exception_handler(RequestValidationError)
    async def not_valid(request: Request, _error: RequestValidationError) -> Response:
        return response_to(request, ApiError(INVALID_PARAMETER, INVALID_PARAMETER.meaning))

    @app.exception_handler(Exception)
    async def defect(request: Request, _error: Exception) -> Response:
        # Starlette raises the error again after this answer, and the server logs it with its traceback.
        return response_to(request, ApiError(INTERNAL, INTERNAL.meaning))
