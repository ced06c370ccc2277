"""Whether the program lives and is ready, and its own metrics: `/livez`, `/readyz`, `/metrics`."""

from collections.abc import Sequence
from http import HTTPStatus
from typing import Any

import msgspec
from fastapi import FastAPI, Response
from fastapi.responses import JSONResponse
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from api.counters.reader import CounterReader
from api.errors import ApiError
from api.http.lookout import Lookout
from api.keys.source import KeySource
from api.metrics import ApiMetrics
from schemas.shared.processes.links import Answer


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
        return _ready(_Ready(reasons, keys.next_offset if keys.loaded else None, keys.trouble))

    @app.get("/metrics", include_in_schema=False)
    async def exposition() -> Response:
        await lookout.look()
        return Response(generate_latest(metrics.registry), media_type=CONTENT_TYPE_LATEST)


class _Ready(msgspec.Struct, frozen=True):
    """What `/readyz` says. Without a reason not to be, the program is ready."""

    reasons: list[str]
    api_keys_offset: int | None
    api_keys_trouble: str | None


def _ready(ready: _Ready) -> Response:
    body = {"status": "unavailable" if ready.reasons else "ready", **msgspec.structs.asdict(ready)}
    status = HTTPStatus.SERVICE_UNAVAILABLE if ready.reasons else HTTPStatus.OK
    return JSONResponse(body, status, {"Cache-Control": "no-store"})


def ready_together(answers: Sequence[Answer]) -> Answer:
    """What `/readyz` says of several processes: ready where each is, and what each of them knows of the keys.

    `keys create` and `keys revoke` wait for that offset, and so for each process.
    """
    each = [_said(answer) for answer in answers]
    offsets = [one.api_keys_offset for one in each]
    troubles = [one.api_keys_trouble for one in each if one.api_keys_trouble is not None]
    response = _ready(
        _Ready(
            list(dict.fromkeys(reason for one in each for reason in one.reasons)),
            None if None in offsets else min(offset for offset in offsets if offset is not None),
            troubles[0] if troubles else None,
        )
    )
    return Answer(response.status_code, response.raw_headers, bytes(response.body))


def _said(answer: Answer) -> _Ready:
    """What a process says; one that is about to stop, or says nothing, gives its reason as a problem."""
    try:
        return msgspec.json.decode(answer.body, type=_Ready)
    except msgspec.ValidationError:
        problem = msgspec.json.decode(answer.body, type=dict[str, Any])
        return _Ready([problem["detail"]], None, None)
