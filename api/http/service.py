"""What happens between a request and its answer.

Every query is checked in one order, whatever it asks: can it be answered at all (503), who asks (401),
how often (429), is it valid (400), is there such a thing (404). A query that is not valid therefore still
reads its lane: that the counters are gone is reported before a wrong parameter is.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any, Final, TypeVar

import msgspec
from fastapi import Request, Response

from api.counters.liveness import Liveness
from api.counters.pace import Pace
from api.counters.reader import WHOLE_TENANT, CounterReader, Scope
from api.counters.timed import Timed
from api.errors import NOT_FOUND, UNAUTHORIZED, UNAVAILABLE, ApiError
from api.http import polling
from api.http.parsed import ParsedQueries, ParsedQuery
from api.http.requests import key_of, path_is_exact, query_of
from api.keys.source import KeySource
from api.metrics import ApiMetrics
from api.query import freshness, tables
from api.query.answers import group_totals, metrics_body
from api.query.instants import format_instant
from api.query.parameters import PAGE_PARAMETERS, SCOPE_PARAMETERS, TENANT_PARAMETERS, read_parameters
from api.query.query import Needs, PageQuery, Query, page_of, read_page, read_query
from api.sharing import costs
from api.sharing.rate_limit import RateLimit
from api.sharing.work import Work
from schemas.keys import ApiKeyRecord
from schemas.shared.traces.spans import step

T = TypeVar("T")
Valid = TypeVar("Valid")

NOT_KNOWN: Final = (
    "Nothing was counted for this id yet, or it is not yours. "
    "`/api/metrics/by` lists the scopes that there are, and `/api/metrics/by/SCOPE` your ids."
)
"""Why an id is not found, which may be a scope that is none."""


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks: the key's record; and since when, by `time.time`."""

    key: ApiKeyRecord
    since_s: float

    @property
    def tenant(self) -> str:
        """Whose numbers are asked for."""
        return self.key.tenant


@dataclass(frozen=True, slots=True)
class Job:
    """A request that was taken in. pace: of the work for it; on_live: counts it, and is called once."""

    pace: Pace
    on_live: Callable[[], None]


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
        self._work = Work()
        self._parsed = ParsedQueries()
        self._liveness = Liveness(reader)
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
        asked = await self._parse(request, caller, now_ms, of_tenant=scope == WHOLE_TENANT)
        needs, cost = (Needs(), costs.ORDINARY) if isinstance(asked, ApiError) else (asked.needs, asked.cost)
        async with self._taken(request, caller, cost) as job:
            pace = Timed(job.pace, self._metrics.redis_seconds)
            counters = await self._reader.counters(caller.tenant, scope, needs, job.on_live, pace)
            if isinstance(asked, ApiError):
                raise asked
            if not counters.known or not path_is_exact(request):
                raise ApiError(NOT_FOUND, NOT_KNOWN)
            query, through_ms = asked.query, freshness.complete_through(counters.partitions)

            def write() -> Response:
                groups = None if query.group_by is None else group_totals(query, counters.groups)
                body = metrics_body(query, counters.counted, groups, through_ms)
                keeps = polling.cache_control(query.asked.to_ms, now_ms, through_ms)
                return _response(request, body, lambda: tables.metrics_csv(body), through_ms, keeps)

            with step("build the answer"):
                response = await pace.run(write)
        return _with_allowance(response, request)

    async def _parse(
        self, request: Request, caller: Caller, now_ms: int, *, of_tenant: bool
    ) -> ParsedQuery | ApiError:
        """What is asked, or what is wrong with that."""
        text: bytes = request.scope["query_string"]
        kept = self._parsed.get(text, of_tenant=of_tenant)
        if kept is not None:
            return kept
        known = TENANT_PARAMETERS if of_tenant else SCOPE_PARAMETERS
        items = query_of(request)

        def read() -> Query | ApiError:
            return _validated(lambda: read_query(items, known, now_ms))

        is_long = costs.may_be_long(items, now_ms)
        asked = await self._work.understand(caller.tenant, read) if is_long else read()
        if isinstance(asked, ApiError):
            return asked
        until_now = not any(name == "to" for name, _ in items)
        return self._parsed.add(text, asked, of_tenant=of_tenant, until_now=until_now)

    async def ids(self, request: Request, scope: str) -> Response:
        """A page of the known ids of a scope.

        request, and what is returned: as in `metrics`.
        Raises: ApiError, in the order of this module: UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED,
        INVALID_PARAMETER, NOT_FOUND where the scope is not counted.
        """
        caller = await self._caller(request)
        asked = _validated(lambda: read_page(query_of(request), PAGE_PARAMETERS))
        after, number = (asked.after, asked.limit + 1) if isinstance(asked, PageQuery) else (None, 0)
        cost = costs.cost_of(asked) if isinstance(asked, PageQuery) else costs.ORDINARY
        async with self._taken(request, caller, cost) as job:
            with step("read redis"), self._metrics.redis_seconds.time():
                known = await self._reader.known_ids(caller.tenant, scope, after, number, job.on_live)
            if isinstance(asked, ApiError):
                raise asked
            if scope not in known.scopes:
                raise ApiError(NOT_FOUND, f"There is no such scope. There are {', '.join(known.scopes)}.")
            ids, next_cursor = page_of(known.ids, asked.limit)
            response = self._listing(request, ids, next_cursor, known.partitions)
        return _with_allowance(response, request)

    async def scopes(self, request: Request) -> Response:
        """The scopes that are counted here, listed as ids are.

        request, and what is returned: as in `metrics`.
        Raises: ApiError, in the order of this module: UNAVAILABLE, UNAUTHORIZED, RATE_LIMITED,
        INVALID_PARAMETER.
        """
        caller = await self._caller(request)
        asked = _validated(lambda: read_parameters(query_of(request), ()))
        async with self._taken(request, caller, costs.ORDINARY) as job:
            with step("read redis"), self._metrics.redis_seconds.time():
                known = await self._reader.known_ids(caller.tenant, None, None, 0, job.on_live)
            if isinstance(asked, ApiError):
                raise asked
            response = self._listing(request, known.scopes, None, known.partitions)
        return _with_allowance(response, request)

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

    async def _caller(self, request: Request) -> Caller:
        """Check who asks. The request is counted later, when it is known that it can be answered at all.

        Raises: ApiError UNAVAILABLE, UNAUTHORIZED or RATE_LIMITED.
        """
        since_s = time.time()
        try:
            with step("authenticate"):
                record = self._record_of(key_of(request))
                self._limit.check(record.id)
        except ApiError as error:
            # That there are no counters is reported first.
            look = self._liveness.check if error.code is UNAUTHORIZED else self._reader.live
            with step("read redis"), self._metrics.redis_seconds.time():
                await look()
            raise
        return Caller(record, since_s)

    @asynccontextmanager
    async def _taken(self, request: Request, caller: Caller, cost: int) -> AsyncIterator[Job]:
        """Take a request in, and count what it cost once it is answered; in the block it is answered.

        cost: of what it asks.
        Raises: ApiError UNAVAILABLE or RATE_LIMITED.
        """

        def count() -> None:
            request.state.headers = {costs.HEADER: str(cost)} | self._limit.count(caller.key.id)

        try:
            pace = await self._work.enter(caller.tenant, cost)
        except ApiError:
            await self._reader.live()  # as above
            raise
        try:
            yield Job(pace, count)
        finally:
            self._work.leave(caller.tenant, cost)
            if cost > costs.ORDINARY and hasattr(request.state, "headers"):
                request.state.headers |= self._limit.charge(caller.key.id, cost, caller.since_s)

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


def _validated(read: Callable[[], Valid]) -> Valid | ApiError:
    """The query, or what is wrong with it (which is reported later)."""
    try:
        return read()
    except ApiError as error:
        return error


def _with_allowance(response: Response, request: Request) -> Response:
    """A response, which then says what the request cost, and what is left to its key."""
    allowance: dict[str, str] = request.state.headers
    response.raw_headers += [(name.lower().encode(), value.encode()) for name, value in allowance.items()]
    return response


def _response(
    request: Request, body: dict[str, Any], as_csv: Callable[[], str], through_ms: int | None, keeps: str
) -> Response:
    in_csv = tables.wants_csv(request.headers.get("accept"))
    tag = polling.etag(body, "csv" if in_csv else "json")
    headers = {
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
