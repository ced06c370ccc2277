"""The HTTP side: the three metrics routes, health, and the program's own metrics.

Every question is judged in one order, whatever it asks: can it be answered at all (503), who asks (401),
was it understood (400), is there such a thing (404). A question that was not understood therefore still
reads its lane: that the counters are gone is told before a wrong parameter is.
"""

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Any, Protocol
from urllib.parse import unquote_to_bytes

from anyio import to_thread
from fastapi import Depends, FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.convertors import Convertor, register_url_convertor
from starlette.exceptions import HTTPException

from api.config import ApiSettings
from api.errors import (
    INTERNAL,
    INVALID_PARAMETER,
    METHOD_NOT_ALLOWED,
    NOT_FOUND,
    UNAUTHORIZED,
    UNAVAILABLE,
    ApiError,
)
from api.key_topic import KeyFollower
from api.keys import KeyTable
from api.meters import MeterRequests, Meters
from api.parameters import documentation, read_parameters
from api.reader import Reader, Scope, connect
from api.rollup import Range, Series, add_up, format_instant, parse_range
from schemas.http import problem
from schemas.kinds import FIELDS
from schemas.metrics import Metrics


class Keys(Protocol):
    """Where the API learns of keys. `start` and `stop` are called once each and may block."""

    table: KeyTable

    @property
    def loaded(self) -> bool:
        """Whether the table knows every key that there is."""

    @property
    def next_offset(self) -> int:
        """The offset of `api-keys` below which all records are in the table."""

    def start(self) -> None:
        """Begin to fill the table."""

    def stop(self) -> None:
        """End."""


class WholeRest(Convertor[str]):
    """The rest of the path, whatever is in it: an id may hold slashes and line ends, or be empty."""

    regex = "(?s:.*)"

    def convert(self, value: str) -> str:
        """The id as it stands in the decoded path."""
        return value

    def to_string(self, value: str) -> str:
        """The id as it stands in the decoded path."""
        return value


register_url_convertor("whole", WholeRest())


def now_ms() -> int:
    """The time, in milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def _understand(request: Request, clock: Callable[[], int]) -> Range | ApiError:
    """The range that is asked for, or what is wrong with the question (which is told later)."""
    try:
        given = read_parameters(request.query_params.multi_items())
        return parse_range(given.get("period"), given.get("from"), given.get("to"), clock())
    except ApiError as error:
        return error


def _path_is_exact(request: Request) -> bool:
    """Whether the decoded path is the path that was sent: bytes that are no UTF-8 are no id that we know."""
    sent: bytes = request.scope["raw_path"]
    decoded: str = request.scope["path"]
    return unquote_to_bytes(sent) == decoded.encode()


def _body(asked: Range, series: Series) -> dict[str, Any]:
    return {
        "period": asked.period.name,
        "from": format_instant(asked.from_ms),
        "to": format_instant(asked.to_ms),
        "totals": dict(zip(FIELDS, series.totals, strict=True)),
        "timeseries": [
            {"timestamp": format_instant(start), **dict(zip(FIELDS, counts, strict=True))}
            for start, counts in series.points
        ],
    }


def _refuse_as_problems(app: FastAPI) -> None:
    """Every error that leaves the application is a problem of our table; FastAPI's own never show."""
    http_codes = {error.status: error for error in (NOT_FOUND, METHOD_NOT_ALLOWED)}

    @app.exception_handler(ApiError)
    async def refused(_request: Request, error: ApiError) -> Response:
        return problem(error.code.code, error.code.status, str(error), error.code.headers)

    @app.exception_handler(HTTPException)
    async def not_routed(_request: Request, error: HTTPException) -> Response:
        code = http_codes.get(error.status_code, INTERNAL)
        return problem(code.code, code.status, code.meaning, error.headers)

    @app.exception_handler(RequestValidationError)
    async def not_valid(_request: Request, _error: RequestValidationError) -> Response:
        return problem(INVALID_PARAMETER.code, INVALID_PARAMETER.status, INVALID_PARAMETER.meaning)

    @app.exception_handler(Exception)
    async def defect(_request: Request, _error: Exception) -> Response:
        # Starlette raises the error again after this answer, and the server logs it with its traceback.
        return problem(INTERNAL.code, INTERNAL.status, INTERNAL.meaning)


def create_app(
    settings: ApiSettings, *, clock: Callable[[], int] = now_ms, keys: Keys | None = None
) -> FastAPI:
    """The application: `python -m api` and the tests enter here.

    settings: where Redis and Kafka are; clock: the time in milliseconds since 1970; keys: where API
    keys come from, the topic `api-keys` if none is given.
    """
    key_source: Keys = KeyFollower(settings) if keys is None else keys
    reader = Reader(connect(settings))
    meters = Meters()

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        key_source.start()
        yield
        await to_thread.run_sync(key_source.stop)
        await reader.close()

    app = FastAPI(
        title="SES metrics", lifespan=lifespan, docs_url=None, redoc_url=None, redirect_slashes=False
    )
    app.add_middleware(MeterRequests, meters=meters)
    _refuse_as_problems(app)

    bearer = HTTPBearer(auto_error=False, description="An API key, as `python -m api keys create` prints it.")
    Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]  # noqa: N806 - a type

    async def answer(
        request: Request, credentials: HTTPAuthorizationCredentials | None, scope: Scope
    ) -> dict[str, Any]:
        with meters.redis_seconds.time():
            live = await reader.live()
        table = key_source.table  # before `loaded`: a table that is being read anew is another one
        if not key_source.loaded:
            raise ApiError(UNAVAILABLE, "The API keys are not read yet. Try again later.")
        tenant = table.tenant_of(credentials.credentials) if credentials else None
        if tenant is None:
            raise ApiError(UNAUTHORIZED, "Send a valid API key in the header `Authorization: Bearer <key>`.")
        asked = _understand(request, clock)
        with meters.redis_seconds.time():
            counters = await reader.counters(
                live, tenant, scope, asked.days if isinstance(asked, Range) else range(0)
            )
        if isinstance(asked, ApiError):
            raise asked
        if not counters.known or not _path_is_exact(request):
            raise ApiError(NOT_FOUND, "Nothing was counted for this id yet, or it is not yours.")
        return _body(asked, add_up(asked, counters.days))

    shared = documentation()

    @app.get("/api/metrics", response_model=Metrics, **shared)
    async def get_metrics(request: Request, credentials: Credentials) -> Any:
        """The numbers of the whole tenant."""
        return await answer(request, credentials, Scope.tenant())

    @app.get("/api/metrics/sequences/{id:whole}", response_model=Metrics, **shared)
    async def get_sequence_metrics(request: Request, id: str, credentials: Credentials) -> Any:  # noqa: A002
        """The numbers of one sequence."""
        return await answer(request, credentials, Scope.sequence(id))

    @app.get("/api/metrics/templates/{id:whole}", response_model=Metrics, **shared)
    async def get_template_metrics(request: Request, id: str, credentials: Credentials) -> Any:  # noqa: A002
        """The numbers of one template, over all sequences and single mails."""
        return await answer(request, credentials, Scope.template(id))

    @app.get("/livez", include_in_schema=False)
    async def livez() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz", include_in_schema=False)
    async def readyz() -> Response:
        reasons = []
        try:
            await reader.live()
        except ApiError as error:
            reasons.append(str(error))
        if not key_source.loaded:
            reasons.append("The API keys are not read yet.")
        body = {
            "status": "unavailable" if reasons else "ready",
            "reasons": reasons,
            "api_keys_offset": key_source.next_offset if key_source.loaded else None,
        }
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return JSONResponse(body, status, {"Cache-Control": "no-store"})

    @app.get("/metrics", include_in_schema=False)
    async def metrics() -> Response:
        return Response(generate_latest(meters.registry), media_type=CONTENT_TYPE_LATEST)

    return app
