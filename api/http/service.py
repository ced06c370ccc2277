"""What happens between a request and its answer.

Every query is checked in one order, whatever it asks: can it be answered at all (503), who asks (401),
how often (429), is it valid (400), is there such a thing (404). A query that is not valid therefore still
reads its lane: that the counters are gone is reported before a wrong parameter is.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from fastapi import Request, Response
from fastapi.security.utils import get_authorization_scheme_param

from api.counters.reader import WHOLE_TENANT, CounterReader, Scope
from api.errors import NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, ApiError
from api.http import polling
from api.http.rate_limit import RateLimit
from api.keys.source import KeySource
from api.metrics import ApiMetrics
from api.query import freshness, tables
from api.query.answers import group_totals, metrics_body
from api.query.instants import format_instant
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS, read_parameters
from api.query.query import Needs, PageQuery, Query, page_of, read_page, read_query
from schemas.keys import ApiKeyRecord
from schemas.shared.traces.spans import step

Valid = TypeVar("Valid")

NOT_KNOWN: Final = (
    "Nothing was counted for this id yet, or it is not yours. "
    "`/api/metrics/by` lists the scopes that there are, and `/api/metrics/by/SCOPE` your ids."
)
"""Why an id is not found, which may be a scope that is none."""


class Service:
    """Answers requests from the counters of one Redis.

    What it raises becomes a problem in `api.http.problems`.
    """

    def __init__(
        self,
        reader: CounterReader,
        keys: KeySource,
        limit: RateLimit,
        metrics: ApiMetrics,
        clock: Callable[[], int],
    ) -> None:
        """clock: the time, in milliseconds since 1970."""
        self._reader = reader
        self._keys = keys
        self._limit = limit
        self._metrics = metrics
        self._clock = clock

    async def metrics(self, request: Request, scope: Scope) -> Response:
        """The numbers of a scope.

        request: a GET, whose query string says which numbers and whose header `Authorization` says who asks.
        Returns: 200 with the numbers, as JSON or CSV; 304 where the caller holds them already.
        Raises: ApiError, in the order of this module: UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED, one of those
        with status 400, NOT_FOUND where nothing was counted for the scope yet.
        """
        caller = await self._caller(request)
        now_ms = self._clock()
        known = TENANT_PARAMETERS if scope == WHOLE_TENANT else SCOPE_PARAMETERS
        asked = _validated(lambda: read_query(query_of(request), known, now_ms))
        needs = asked.needs if isinstance(asked, Query) else Needs()
        on_live = partial(self._count, request, caller)
        with step("read redis"), self._metrics.redis_seconds.time():
            counters = await self._reader.counters(caller.tenant, scope, needs, on_live)
        if isinstance(asked, ApiError):
            raise asked
        if not counters.known or not _path_is_exact(request):
            raise ApiError(NOT_FOUND, NOT_KNOWN)
        with step("build the answer"):
            through_ms = freshness.complete_through(counters.partitions)
            groups = None if asked.group_by is None else group_totals(asked, counters.groups)
            body = metrics_body(asked, counters.counted, groups, through_ms)
            keeps = polling.cache_control(asked.asked.to_ms, now_ms, through_ms)
            return _response(request, body, lambda: tables.metrics_csv(body), through_ms, keeps)

    async def ids(self, request: Request, scope: str) -> Response:
        """A page of the known ids of a scope.

        request, and what is returned: as in `metrics`.
        Raises: ApiError, in the order of this module: UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED,
        INVALID_PARAMETER, NOT_FOUND where the scope is not counted.
        """
        caller = await self._caller(request)
        asked = _validated(lambda: read_page(query_of(request), PAGE_PARAMETERS))
        after, number = (asked.after, asked.limit + 1) if isinstance(asked, PageQuery) else (None, 0)
        on_live = partial(self._count, request, caller)
        with step("read redis"), self._metrics.redis_seconds.time():
            known = await self._reader.known_ids(caller.tenant, scope, after, number, on_live)
        if isinstance(asked, ApiError):
            raise asked
        if scope not in known.scopes:
            raise ApiError(NOT_FOUND, f"There is no such scope. There are {', '.join(known.scopes)}.")
        ids, next_cursor = page_of(known.ids, asked.limit)
        return self._listing(request, ids, next_cursor, known.partitions)

    async def scopes(self, request: Request) -> Response:
        """The scopes that are counted here, listed as ids are.

        request, and what is returned: as in `metrics`.
        Raises: ApiError, in the order of this module: UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED,
        INVALID_PARAMETER.
        """
        caller = await self._caller(request)
        asked = _validated(lambda: read_parameters(query_of(request), ()))
        on_live = partial(self._count, request, caller)
        with step("read redis"), self._metrics.redis_seconds.time():
            known = await self._reader.known_ids(caller.tenant, None, None, 0, on_live)
        if isinstance(asked, ApiError):
            raise asked
        return self._listing(request, known.scopes, None, known.partitions)

    def _listing(
        self,
        request: Request,
        ids: Sequence[str],
        next_cursor: str | None,
        partitions: Mapping[int, int | None],
    ) -> Response:
        through_ms = freshness.complete_through(partitions)
        body = {
            "items": [{"id": each} for each in ids],
            "next_cursor": next_cursor,
            "complete_through": None if through_ms is None else format_instant(through_ms),
        }
        now_ms = self._clock()
        keeps = polling.cache_control(now_ms, now_ms, through_ms)
        with step("build the answer"):
            return _response(request, body, lambda: tables.ids_csv(ids), through_ms, keeps)

    async def _caller(self, request: Request) -> ApiKeyRecord:
        """Check who asks. The request is counted later, when it is known that it can be answered at all.

        Raises: ApiError UNAVAILABLE, UNAUTHORIZED or RATE_LIMITED.
        """
        try:
            with step("authenticate"):
                record = self._record_of(_key_of(request))
                self._limit.check(record.id)
        except ApiError:
            with step("read redis"), self._metrics.redis_seconds.time():
                await self._reader.live()  # that there are no counters is reported first
            raise
        return record

    def _record_of(self, key: str | None) -> ApiKeyRecord:
        table = self._keys.table  # before `loaded`: a table that is being read anew is another one
        if not self._keys.loaded:
            raise ApiError(UNAVAILABLE, "The API keys are not read yet. Try again later.")
        now_ms = self._clock()
        record = None if key is None else table.admit(key, now_ms)
        if record is None:
            raise ApiError(UNAUTHORIZED, "Send a valid API key in the header `Authorization: Bearer <key>`.")
        self._keys.note_use(record.id, now_ms)
        return record

    def _count(self, request: Request, caller: ApiKeyRecord) -> None:
        request.state.headers = self._limit.count(caller.id)


def _key_of(request: Request) -> str | None:
    """The API key in `Authorization: Bearer <key>`; None where there is none."""
    scheme, key = get_authorization_scheme_param(request.headers.get("Authorization"))
    return key if key and scheme.lower() == "bearer" else None


def query_of(request: Request) -> list[tuple[str, str]]:
    """Names and values in the order of the query string."""
    return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _validated(read: Callable[[], Valid]) -> Valid | ApiError:
    """The query, or what is wrong with it (which is reported later)."""
    try:
        return read()
    except ApiError as error:
        return error


def _path_is_exact(request: Request) -> bool:
    """Whether the decoded path is the path that was sent: bytes that are no UTF-8 are no id that we know."""
    sent: bytes = request.scope["raw_path"]
    decoded: str = request.scope["path"]
    return unquote_to_bytes(sent) == decoded.encode()


def _response(
    request: Request, body: dict[str, Any], as_csv: Callable[[], str], through_ms: int | None, keeps: str
) -> Response:
    in_csv = tables.wants_csv(request.headers.get("accept"))
    tag = polling.etag(body, "csv" if in_csv else "json")
    headers = {
        **request.state.headers,
        "Cache-Control": keeps,
        "ETag": tag,
        "Vary": "Authorization, Accept",
    }
    if through_ms is not None:
        headers[freshness.HEADER] = format_instant(through_ms)
    if polling.is_known(request.headers.get("if-none-match"), tag):
        return Response(status_code=304, headers=headers)
    if in_csv:
        return Response(as_csv(), headers=headers, media_type=tables.MEDIA_TYPE)
    return Response(msgspec.json.encode(body), headers=headers, media_type="application/json")
