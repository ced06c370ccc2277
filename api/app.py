"""The HTTP side: the metrics routes, their documentation, the page, health, and the program's own metrics."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from typing import Annotated, Final

from anyio import to_thread
from fastapi import Depends, FastAPI, Path, Request, Response
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.convertors import Convertor, register_url_convertor
from starlette.types import Receive, Send
from starlette.types import Scope as ASGIScope

from api import page
from api.clock import now_ms
from api.config import ApiSettings, rate_limit_of
from api.counters.reader import CounterReader, Scope, connect
from api.errors import ApiError
from api.http import openapi
from api.http.lookout import Lookout
from api.http.problems import refuse_as_problems
from api.http.rate_limit import RateLimit
from api.http.request_ids import NameRequests
from api.http.service import Keys, Service
from api.metrics import ApiMetrics, MeasureRequests
from api.page import docs
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from schemas.responses import KnownIds, Metrics


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

BEARER: Final = HTTPBearer(
    auto_error=False, description="An API key, as `python -m api keys create` prints it."
)

Credentials = Annotated[HTTPAuthorizationCredentials | None, Depends(BEARER)]
SequenceId = Annotated[str, Path(description="The sequence ID.", examples=["onboarding"])]
TemplateId = Annotated[str, Path(description="The template ID.", examples=["welcome-email"])]


class MetricsRoute(APIRoute):
    """A route whose endpoint is called at once, with the request, its credentials and its id if it has one.

    The framework would ask each time what the endpoint wants, and cost more than the answer. What is asked is
    judged by the service in its own order; the endpoint's signature is there for the documentation.
    """

    async def handle(self, scope: ASGIScope, receive: Receive, send: Send) -> None:
        """Answer a request; one of another method is refused by the framework."""
        if scope["method"] != "GET":
            await super().handle(scope, receive, send)
            return
        request = Request(scope, receive, send)
        credentials = await BEARER(request)
        response = await self.endpoint(request, credentials=credentials, **request.path_params)
        await response(scope, receive, send)


def create_app(settings: ApiSettings, *, keys: Keys, clock: Callable[[], int] = now_ms) -> FastAPI:
    """The application: `python -m api` and the tests enter here.

    settings: where Redis is; keys: where API keys come from; clock: the time in milliseconds since 1970.
    """
    reader = CounterReader(connect(settings))
    metrics = ApiMetrics()
    metrics.keys_followed.set_function(lambda: keys.loaded and keys.trouble is None)
    metrics.keys_unreadable.set_function(lambda: keys.unreadable)
    service = Service(reader, keys, RateLimit(rate_limit_of(settings.rate_limit)), metrics, clock)

    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        keys.start()
        yield
        await to_thread.run_sync(keys.stop)
        await reader.close()

    app = FastAPI(
        title="SES metrics",
        version="1",
        description=openapi.DESCRIPTION,
        lifespan=lifespan,
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
    )
    app.add_middleware(MeasureRequests, metrics=metrics)
    app.add_middleware(NameRequests)
    refuse_as_problems(app)
    _add_metrics(app, service)  # before all others: routes are tried one after the other
    docs.add_to(app)
    page.add_to(app)
    _add_health(app, reader, keys, metrics)
    metrics.bear(app.routes)
    return app


def _add_metrics(app: FastAPI, service: Service) -> None:
    tenant = openapi.operation("get", Metrics, TENANT_PARAMETERS, openapi.METRICS_EXAMPLE)
    sequence = openapi.operation("sequence", Metrics, SCOPE_PARAMETERS, openapi.METRICS_EXAMPLE, has_id=True)
    template = openapi.operation("template", Metrics, SCOPE_PARAMETERS, openapi.METRICS_EXAMPLE, has_id=True)
    sequences = openapi.operation("sequences", KnownIds, PAGE_PARAMETERS, openapi.IDS_EXAMPLE)
    templates = openapi.operation("templates", KnownIds, PAGE_PARAMETERS, openapi.IDS_EXAMPLE)

    async def get_metrics(request: Request, credentials: Credentials) -> Response:
        """The numbers of the whole tenant."""
        return await service.metrics(request, _key(credentials), Scope.tenant())

    async def get_sequences(request: Request, credentials: Credentials) -> Response:
        """The known sequences: those for which something was counted, in the order of their bytes."""
        return await service.ids(request, _key(credentials), "sequence")

    async def get_templates(request: Request, credentials: Credentials) -> Response:
        """The known templates: those for which something was counted, in the order of their bytes."""
        return await service.ids(request, _key(credentials), "template")

    async def get_sequence_metrics(request: Request, id: SequenceId, credentials: Credentials) -> Response:  # noqa: A002
        """The numbers of one sequence."""
        return await service.metrics(request, _key(credentials), Scope.sequence(id))

    async def get_template_metrics(request: Request, id: TemplateId, credentials: Credentials) -> Response:  # noqa: A002
        """The numbers of one template, over all sequences and single mails."""
        return await service.metrics(request, _key(credentials), Scope.template(id))

    for path, endpoint, told in (
        ("/api/metrics", get_metrics, tenant),
        ("/api/metrics/sequences", get_sequences, sequences),
        ("/api/metrics/templates", get_templates, templates),
        ("/api/metrics/sequences/{id:whole}", get_sequence_metrics, sequence),
        ("/api/metrics/templates/{id:whole}", get_template_metrics, template),
    ):
        app.router.add_api_route(path, endpoint, route_class_override=MetricsRoute, **told)


def _key(credentials: Credentials) -> str | None:
    return credentials.credentials if credentials else None


def _add_health(app: FastAPI, reader: CounterReader, keys: Keys, metrics: ApiMetrics) -> None:
    lookout = Lookout(reader, keys, metrics)

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
        if not keys.loaded:
            reasons.append("The API keys are not read" + (f": {keys.trouble}" if keys.trouble else " yet."))
        body = {
            "status": "unavailable" if reasons else "ready",
            "reasons": reasons,
            "api_keys_offset": keys.next_offset if keys.loaded else None,
            "api_keys_trouble": keys.trouble,
        }
        status = HTTPStatus.SERVICE_UNAVAILABLE if reasons else HTTPStatus.OK
        return JSONResponse(body, status, {"Cache-Control": "no-store"})

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        await lookout.look()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)
