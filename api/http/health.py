"""Whether the program lives and is ready, and its own metrics: `/livez`, `/readyz`, `/metrics`."""

from http import HTTPStatus

from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.counters.reader import CounterReader
from api.errors import ApiError
from api.http.lookout import Lookout
from api.keys.source import KeySource
from api.metrics import ApiMetrics


def add_health(app: FastAPI, reader: CounterReader, keys: KeySource, metrics: ApiMetrics) -> None:
    """Add the three. They are not in the OpenAPI description: they are for whoever runs the program."""
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
