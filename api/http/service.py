"""What happens between a request and its answer.

Every query is judged in one order, whatever it asks: can it be answered at all (503), who asks (401),
how often (429), was it understood (400), is there such a thing (404). A query that was not understood
therefore still reads its lane: that the counters are gone is told before a wrong parameter is.
"""

from collections.abc import Callable
from typing import Any, Protocol, TypeVar
from urllib.parse import parse_qsl, unquote_to_bytes

import msgspec
from fastapi import Request, Response

from api.counters.reader import CounterReader, Scope
from api.errors import NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, ApiError
from api.http import polling
from api.http.rate_limit import RateLimit
from api.keys.keys import KeyTable
from api.metrics import ApiMetrics
from api.query import freshness, tables
from api.query.answers import group_totals, metrics_body
from api.query.cursors import page_of
from api.query.instants import format_instant
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS
from api.query.query import Query, read_page, read_query
from schemas.keys import ApiKeyRecord

Understood = TypeVar("Understood")


class Keys(Protocol):
    """Where the API learns of keys. `start` and `stop` are called once each and may block."""

    table: KeyTable
    trouble: str | None
    """Why keys cannot be read now, without addresses: revocations are not heard of. None where they are."""
    unreadable: int
    """How many records could not be read, and open nothing."""

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

    def note_use(self, key_id: str, now_ms: int) -> None:
        """A key was used. Never blocks."""


class Service:
    """Answers requests from the counters of one Redis."""

    def __init__(
        self,
        reader: CounterReader,
        keys: Keys,
        limit: RateLimit,
        metrics: ApiMetrics,
        clock: Callable[[], int],
    ) -> None:
        self._reader = reader
        self._keys = keys
        self._limit = limit
        self._metrics = metrics
        self._clock = clock

    async def metrics(self, request: Request, key: str | None, scope: Scope) -> Response:
        """The numbers of a scope."""
        caller = await self._caller(key)
        now_ms = self._clock()
        known = TENANT_PARAMETERS if scope == Scope.tenant() else SCOPE_PARAMETERS
        asked = _understand(lambda: read_query(_query(request), known, now_ms))
        days, group_by = (asked.days, asked.group_by) if isinstance(asked, Query) else (range(0), None)
        with self._metrics.redis_seconds.time():
            counters = await self._reader.counters(
                caller.tenant, scope, days, group_by, lambda: self._count(request, caller)
            )
        if isinstance(asked, ApiError):
            raise asked
        if not counters.known or not _path_is_exact(request):
            raise ApiError(NOT_FOUND, "Nothing was counted for this id yet, or it is not yours.")
        through_ms = freshness.complete_through(counters.partitions)
        groups = None if group_by is None else group_totals(asked, counters.groups)
        body = metrics_body(asked, counters.days, groups, through_ms)
        keeps = polling.cache_control(asked.asked.to_ms, now_ms, through_ms)
        return _response(request, body, lambda: tables.metrics_csv(body), through_ms, keeps)

    async def ids(self, request: Request, key: str | None, kind: str) -> Response:
        """A page of the known ids of a kind, `sequence` or `template`."""
        caller = await self._caller(key)
        asked = _understand(lambda: read_page(_query(request), PAGE_PARAMETERS))
        with self._metrics.redis_seconds.time():
            known = await self._reader.known_ids(caller.tenant, kind, lambda: self._count(request, caller))
        if isinstance(asked, ApiError):
            raise asked
        ids, next_cursor = page_of(known.ids, asked.after, asked.limit)
        through_ms = freshness.complete_through(known.partitions)
        body = {
            "items": [{"id": each} for each in ids],
            "next_cursor": next_cursor,
            "complete_through": None if through_ms is None else format_instant(through_ms),
        }
        now_ms = self._clock()
        keeps = polling.cache_control(now_ms, now_ms, through_ms)
        return _response(request, body, lambda: tables.ids_csv(ids), through_ms, keeps)

    async def _caller(self, key: str | None) -> ApiKeyRecord:
        """Judge who asks. The request is counted later, when it is known that it can be answered at all.

        Raises: ApiError UNAVAILABLE, UNAUTHORIZED or RATE_LIMITED.
        """
        try:
            record = self._record_of(key)
            self._limit.check(record.id)
        except ApiError:
            with self._metrics.redis_seconds.time():
                await self._reader.live()  # that there are no counters is told first
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


def _query(request: Request) -> list[tuple[str, str]]:
    """Names and values in the order of the query string."""
    return parse_qsl(request.scope["query_string"].decode("latin-1"), keep_blank_values=True)


def _understand(read: Callable[[], Understood]) -> Understood | ApiError:
    """What is asked, or what is wrong with the query (which is told later)."""
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
