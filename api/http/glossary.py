"""`GET /api/metrics/fields`: what the numbers mean, for programs and people. Anybody may ask.

It is made of the tables that count, divide and judge, so it says what this version does. It knows no tenant
and asks nobody, so it is there without Redis, without Kafka and without a key.
"""

from http import HTTPStatus
from typing import Final

import msgspec
from fastapi import Request, Response

from api import sender_health
from api.http import polling
from api.http.requests import query_of
from api.query.parameters import read_parameters
from schemas.fields import MEANINGS, formula_of, unit_of
from schemas.instants import DAY_MS
from schemas.kinds import KINDS, Kind
from schemas.responses import Glossary, GlossaryField, GlossaryRate, HealthRule, Watch

KEPT_S: Final = 3_600
"""How long (s) anybody may keep it: another version of the program may mean something else."""


def _field(kind: Kind) -> GlossaryField:
    description, rate = MEANINGS[kind.field]
    return GlossaryField(
        name=kind.field,
        description=description,
        unit=unit_of(kind),
        family=kind.family,
        horizon_days=kind.horizon.late_ms // DAY_MS,
        rate=None if rate is None else GlossaryRate(name=rate.name, formula=formula_of(rate.name)),
    )


def _watch(rate: str, thresholds: sender_health.Thresholds) -> Watch:
    return Watch(formula=formula_of(rate), warning=thresholds.warning, critical=thresholds.critical)


GLOSSARY: Final = Glossary(
    fields=[_field(kind) for kind in KINDS],
    health=HealthRule(
        sent_at_least=sender_health.SENT_LEAST,
        bounce=_watch("hard_bounce", sender_health.BOUNCE),
        complaint=_watch("complaint", sender_health.COMPLAINT),
    ),
).model_dump(by_alias=True)
"""The answer."""

_BODY: Final = msgspec.json.encode(GLOSSARY)
_HEADERS: Final = {"Cache-Control": f"public, max-age={KEPT_S}", "ETag": polling.etag(GLOSSARY, "json")}


async def fields(request: Request) -> Response:
    """The glossary; 304 where the caller holds it already.

    Raises: ApiError INVALID_PARAMETER for any parameter.
    """
    read_parameters(query_of(request), ())
    if polling.is_known(request.headers.get("if-none-match"), _HEADERS["ETag"]):
        return Response(status_code=HTTPStatus.NOT_MODIFIED, headers=_HEADERS)
    return Response(_BODY, headers=_HEADERS, media_type="application/json")
