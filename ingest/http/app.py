"""The HTTP side of ingest, wired in one place: tests and the program enter by `create_app`."""

import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from http import HTTPStatus
from typing import Any

import httpx
import structlog
from fastapi import FastAPI, Request, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from ingest.config import IngestSettings
from ingest.errors import Problem, TryAgain
from ingest.http.webhook import Webhook
from ingest.log.publish import KafkaPublisher, Publisher
from ingest.metrics import DISCONNECTED, IngestMetrics
from ingest.sns import outbound
from ingest.sns.certificates import Certificates
from schemas.shared.problems import problem
from schemas.shared.server import Stop
from schemas.shared.traces.spans import note

log = structlog.get_logger(__name__)


def create_app(
    settings: IngestSettings,
    *,
    publisher: Publisher | None = None,
    http_transport: httpx.AsyncBaseTransport | None = None,
    stop: Stop | None = None,
) -> FastAPI:
    """Wire the program.

    publisher: where records go; none: to Kafka as the settings say. http_transport: what carries calls to
    SNS; none: the network. Both are open while the app's lifespan runs. stop: ends the program
    where the app can't go on.
    Raises: KafkaException where the Kafka settings make no sense.
    """
    metrics = IngestMetrics()
    client = outbound.new_client(http_transport)
    records = publisher or KafkaPublisher(settings, (stop or Stop()).fail)
    webhook = Webhook(
        topic_arns=settings.sns_topic_arns,
        certificates=Certificates(client, settings.sns_certificate_dir, metrics),
        client=client,
        publisher=records,
        metrics=metrics,
    )

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        if not settings.sns_topic_arns:
            log.warning("no topic is listed in SNS_TOPIC_ARNS, every message is refused")
        async with client, records:
            yield

    app = _Ingest(
        Route("/webhooks/sns", _Deliveries(webhook, metrics), methods=["POST"]),
        title="ses-metrics ingest",
        lifespan=lifespan,
        openapi_url=None,
        redirect_slashes=False,  # a redirect goes where the request's Host says, and SNS would follow
    )
    app.add_exception_handler(HTTPException, _http_problem)
    app.add_exception_handler(Exception, _unexpected)

    @app.get("/livez")
    async def livez() -> Response:
        return JSONResponse({"status": "ok"})

    @app.get("/readyz")
    async def readyz() -> Response:
        try:
            await records.check()
        except TryAgain as failure:
            return _answer(failure)
        return JSONResponse({"status": "ok"})

    @app.get("/metrics")
    async def expose() -> Response:
        try:
            await records.check()  # at each scrape: an outage shows before an event comes
        except TryAgain:
            metrics.ready.set(0)
        else:
            metrics.ready.set(1)
        return Response(generate_latest(metrics.registry), headers={"Content-Type": CONTENT_TYPE_LATEST})

    return app


class _Ingest(FastAPI):
    """FastAPI, but deliveries go straight to their route: its way there costs as much as a signature."""

    def __init__(self, deliveries: Route, **more: Any) -> None:
        """Prepare.

        deliveries: their route; other methods on its path are FastAPI's to answer. more: as FastAPI takes it.
        """
        super().__init__(routes=[deliveries], **more)
        self._deliveries = deliveries

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer a request."""
        route = self._deliveries
        if scope["type"] == "http" and scope["path"] == route.path and scope["method"] == "POST":
            scope["route"] = route  # as the router says it, for traces
            await route.app(scope, receive, send)
        else:
            await super().__call__(scope, receive, send)


class _Deliveries:
    """The webhook's route, as plain ASGI. Nothing stands around it, so defects are answered here too."""

    def __init__(self, webhook: Webhook, metrics: IngestMetrics) -> None:
        self._webhook = webhook
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._metrics.in_flight.inc()
        try:
            response = await self._take(Headers(scope=scope), receive)
        except Exception:
            await _defect()(scope, receive, send)
            raise  # to the server, which logs it
        else:
            await response(scope, receive, send)
        finally:
            self._metrics.in_flight.dec()

    async def _take(self, headers: Headers, receive: Receive) -> Response:
        came = time.perf_counter()
        try:
            outcome = await self._webhook.take(headers, receive)
        except Problem as failure:
            self._metrics.deliveries.labels(failure.reason).inc()
            note("ses.outcome", failure.reason)
            log.warning(
                "delivery not taken", status=failure.status, reason=failure.reason, detail=failure.detail
            )
            return _answer(failure)
        except ClientDisconnect:
            self._metrics.deliveries.labels(DISCONNECTED).inc()
            return Response(status_code=TryAgain.status)
        self._metrics.deliveries.labels(outcome).inc()
        note("ses.outcome", outcome)
        if outcome == "stored":
            self._metrics.storing.observe(time.perf_counter() - came)
        return _taken(outcome)


@cache
def _taken(outcome: str) -> Response:
    """The answer to a delivery that needs nothing more; one object for all that end alike."""
    return JSONResponse({"outcome": outcome})


def _answer(failure: Problem) -> Response:
    headers = {}
    if isinstance(failure, TryAgain):
        headers["Retry-After"] = "5"
    if failure.closes:
        headers["Connection"] = "close"
    return problem(failure.code, failure.status, failure.detail, headers)


async def _http_problem(_: Request, error: Exception) -> Response:
    """What the router refuses: a path or a method that does not exist."""
    if not isinstance(error, HTTPException):
        raise TypeError("registered for HTTPException alone") from error
    status = HTTPStatus(error.status_code)
    return problem(status.name, status, f"{error.detail}.", error.headers)


async def _unexpected(_request: Request, _error: Exception) -> Response:
    """A defect of ours; the server logs the traceback."""
    return _defect()


def _defect() -> Response:
    """A 5xx, so that SNS delivers again."""
    return problem("INTERNAL", HTTPStatus.INTERNAL_SERVER_ERROR, "An error of ours; it is logged.")
