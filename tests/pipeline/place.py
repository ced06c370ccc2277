"""A place of a test's own: topics on the session's Kafka, a Valkey, the programs, queries to the API.

The Valkey is the test's own because there is one live generation in a Redis.
"""

from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import quote, urlencode
from uuid import uuid4

import msgspec
import redis

from schemas import counters, redis_keys, topics
from tests import services
from tests.pipeline import log, oracle, stored
from tests.pipeline.log import Outgoing, Stored
from tests.pipeline.programs import Program, Programs

DeadLetter = tuple[bytes | None, dict[str, bytes]]
"""A dead letter's value and headers."""

Span = tuple[datetime, datetime]
"""The `from` and `to` of a query."""

HOUR = timedelta(hours=1)
PERIODS = ("hour", "day", "week", "month")


def time_of(ms: int) -> datetime:
    """Milliseconds since 1970 as the oracle's kind of time."""
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


def naive_count(
    records: Iterable[Outgoing] | Iterable[Stored], tags: Mapping[str, str] = oracle.PAGE
) -> oracle.Count:
    """The oracle's numbers. tags: of the further scopes, by their names."""
    return oracle.count(((record.value, time_of(record.time_ms)) for record in records), tags)


def count_erased(
    records: Iterable[Stored], through: Mapping[str, int], tags: Mapping[str, str] = oracle.PAGE
) -> oracle.Count:
    """The same where tenants are erased. through: their names, and the time of their last records in ms."""
    left = []
    for record in records:
        facts = oracle.read(record.value, time_of(record.time_ms), tags).facts
        if not facts or record.time_ms > through.get(facts[0].tenant, -1):
            left.append(record)
    return naive_count(left, tags)


def place_of(source: str, record: Stored) -> bytes:
    """The key of a record's dead letter. source: the events topic."""
    return f"{source}:{record.partition}:{record.offset}".encode()


def dead_letter_of(source: str, record: Stored, reason: str) -> DeadLetter:
    """What the dead letter of a record of the events topic `source` holds."""
    headers = {
        topics.REASON: reason.encode(),
        topics.SOURCE_TOPIC: source.encode(),
        topics.SOURCE_PARTITION: str(record.partition).encode(),
        topics.SOURCE_OFFSET: str(record.offset).encode(),
        topics.SOURCE_TIMESTAMP: str(record.time_ms).encode(),
    }
    key, value = record.key, record.value
    if reason == "too_large":
        headers[topics.VALUE_BYTES] = str(len(value or b"")).encode()
        key, value = key and key[:1024], value and value[:65_536]
    if key is not None:
        headers[topics.SOURCE_KEY] = key
    return value, headers


@dataclass
class Place:
    """Where a test takes place. tags: of the further scopes that its programs count, by their names."""

    bootstrap: str
    redis: redis.Redis
    programs: Programs
    keys: dict[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=lambda: oracle.PAGE)

    def send(self, records: Iterable[Outgoing]) -> None:
        """Write records straight to the events topic."""
        log.send(self.bootstrap, self.programs.events_topic, records)

    def events(self) -> list[Stored]:
        return log.read(self.bootstrap, self.programs.events_topic)

    def dead_letters(self) -> dict[bytes, DeadLetter]:
        """The dead letters by key; a key that stands there more than once says the same each time."""
        found: dict[bytes, DeadLetter] = {}
        for record in log.read(self.bootstrap, self.programs.dead_letter_topic):
            assert record.key is not None
            dead_letter = (record.value, record.headers)
            assert found.setdefault(record.key, dead_letter) == dead_letter
        return found

    def naive_dead_letters(self, stored: Iterable[Stored] | None = None) -> dict[bytes, DeadLetter]:
        """The dead letters that the events topic must have brought about, as the oracle reads it.

        stored: its records, where they are read already.
        """
        source, want = self.programs.events_topic, {}
        for record in self.events() if stored is None else stored:
            reason = oracle.read(record.value, time_of(record.time_ms), self.tags).outcome
            if reason in oracle.DEAD:
                want[place_of(source, record)] = dead_letter_of(source, record, reason)
        return want

    def check_dead_letters(self, want: dict[bytes, DeadLetter]) -> None:
        """Compare all dead letters with those that must be there: none is missing, altered or too much."""
        got = self.dead_letters()
        assert sorted(want.keys() - got.keys()) == []
        assert sorted(got.keys() - want.keys()) == []
        assert [key for key in want if got[key] != want[key]] == []

    def forget_records_before(self, offset: int) -> None:
        """Remove the first records of every partition, as retention does."""
        log.forget_before(self.bootstrap, self.programs.events_topic, offset, topics.EVENTS.partitions)

    def ends(self) -> list[int]:
        return log.ends(self.bootstrap, self.programs.events_topic)

    def record(self) -> counters.Record:
        """The record of the generations, as it is now."""
        raw: Any = self.redis.get(redis_keys.RECORD_KEY)
        return counters.Record(()) if raw is None else msgspec.json.decode(raw, type=counters.Record)

    def lanes(self) -> list[str]:
        """The keys of the live generation's lanes; none where there is no generation."""
        live = self.record().live
        if live is None:
            return []
        return [redis_keys.lane_key(live.name, lane) for lane in range(live.lanes)]

    def checkpoints(self) -> list[list[int]]:
        """For each lane, the checkpoint of each partition."""
        return self._of_lanes("f")

    def completes(self) -> list[list[int]]:
        """For each lane, up to when each partition is complete, in ms since 1970; 0 where it does not say."""
        return self._of_lanes("c")

    def _of_lanes(self, prefix: str) -> list[list[int]]:
        wanted = [f"{prefix}{number}" for number in range(topics.EVENTS.partitions)]
        return [[int(number or 0) for number in self.redis.hmget(lane, wanted)] for lane in self.lanes()]

    def wait_until_counted(self, worker: Program) -> None:
        """Wait until every lane is counted to the topic's end as it is now."""
        ends = self.ends()

        def counted() -> bool:
            checkpoints = self.checkpoints()
            return bool(checkpoints) and all(lane == ends for lane in checkpoints)

        worker.wait_until(counted, f"every checkpoint is at {ends}")

    def make_keys(self, tenants: Iterable[str]) -> None:
        """An API key for each tenant, two at a time."""
        names = [tenant for tenant in tenants if tenant not in self.keys]
        with ThreadPoolExecutor(2) as pool:
            self.keys.update(zip(names, pool.map(self.programs.new_key, names), strict=True))

    def check_cells(self, want: oracle.Count) -> None:
        """Compare every number that Redis holds, of every kind, scope and quarter of an hour."""
        assert want.quarters, "there is nothing to check"
        assert stored.differences(stored.held(self.redis), want) == []

    def check(self, api: Program, want: oracle.Count, periods: Iterable[str] = PERIODS) -> None:
        """Ask the API for every number of the page that the oracle knows, hours without any included."""
        tenants = {tenant for tenant, _, _ in want.hours}
        assert tenants, "there is nothing to check"
        for tenant in tenants:
            whole, inner = _spans(want, tenant)
            for period in periods:
                for scope in _of_the_page(want, tenant):
                    self._check_one(api, want, scope, period, whole)
                self._check_one(api, want, (tenant, "tenant", ""), period, inner)

    def check_zones(self, api: Program, want: oracle.Count, zones: Iterable[str]) -> None:
        """The same by the clocks of time zones: of tenants by every period, of one's other scopes by day."""
        for tenant in sorted({tenant for tenant, _, _ in want.hours}):
            whole, inner = _spans(want, tenant)
            for zone in zones:
                for period in PERIODS:
                    for span in (whole, inner):
                        self._check_one(api, want, (tenant, "tenant", ""), period, span, zone)
        tenant = min(want.hours)[0]
        for scope in _of_the_page(want, tenant):
            for zone in zones:
                self._check_one(api, want, scope, "day", _spans(want, tenant)[0], zone)

    def ask(self, api: Program, scope: oracle.Scope, **parameters: str) -> tuple[int, Any]:
        """The API's answer on one scope: status and body."""
        tenant, kind, name = scope
        path = "/api/metrics" if kind == "tenant" else f"/api/metrics/{kind}s/{quote(name, safe='')}"
        response = api.get(
            f"{path}?{urlencode(parameters)}", {"Authorization": f"Bearer {self.keys[tenant]}"}
        )
        return response.status_code, response.json()

    def _check_one(  # noqa: PLR0917 - all that a query has
        self,
        api: Program,
        want: oracle.Count,
        scope: oracle.Scope,
        period: str,
        span: Span,
        zone: str | None = None,
    ) -> None:
        first, last = span
        query = {"period": period, "from": oracle.iso(first), "to": oracle.iso(last)}
        if zone is not None:
            query["timezone"] = zone
        expected = want.body(scope, period, first, last, zone or "UTC")
        status, body = self.ask(api, scope, **query)
        assert status == 200, (scope, query, body)
        if {name: body[name] for name in expected} != expected:  # answers may say more than the page does
            raise AssertionError(f"{scope} by {query}: {_differences(body, expected)}")


def _of_the_page(want: oracle.Count, tenant: str) -> list[oracle.Scope]:
    """The scopes of a tenant that have a route of their own."""
    return [scope for scope in want.scopes(tenant) if scope[1] in {"tenant", *oracle.PAGE}]


def _spans(want: oracle.Count, tenant: str) -> tuple[Span, Span]:
    """A range with all that counts for a tenant, and one that cuts some of it off on both sides."""
    hours = sorted(hour for scope in want.scopes(tenant) for hour in want.hours[scope])
    first = hours[0] - timedelta(hours=26, minutes=43, milliseconds=1)
    last = hours[-1] + timedelta(hours=1, minutes=7, milliseconds=999)
    third = hours[len(hours) // 3] + timedelta(minutes=30)
    return (first, last), (third, max(third, hours[-1] - HOUR))


def _differences(got: Any, want: Any) -> list[str]:
    """What differs, first of all the points."""
    mine = {point["timestamp"]: point for point in want["timeseries"]}
    theirs = {point["timestamp"]: point for point in got["timeseries"]}
    points = [time for time in sorted({*mine, *theirs}) if mine.get(time) != theirs.get(time)]
    reported = [f"{time}: got {theirs.get(time)}, want {mine.get(time)}" for time in points[:3]]
    rest = [f"{k}: got {got[k]}, want {want[k]}" for k in want if k != "timeseries" and got[k] != want[k]]
    return [f"{len(points)} points differ", *reported, *rest]


def archive_settings(url: str) -> dict[str, str]:
    """By which all programs of a place know an archive, and have a key of the pseudonyms. url: of it."""
    key = b"a key of the pseudonyms, 32 byte".hex()
    return {"RECIPIENT_KEY": key, "ARCHIVE_URL": url, "ARCHIVE_PORT": "0"}


@contextmanager
def open_place(bootstrap: str, directory: Path, **settings: str) -> Iterator[Place]:
    """Open a place; at its end its programs, its Valkey and its topics are gone.

    directory: for logs. settings: more, of all programs.
    """
    with (
        services.valkey_server() as valkey,
        redis.Redis.from_url(valkey.url) as client,
        open_place_on(bootstrap, valkey.url, client, directory, **settings) as place,
    ):
        yield place


@contextmanager
def open_place_on(
    bootstrap: str, redis_url: str, client: Any, directory: Path, **settings: str
) -> Iterator[Place]:
    """Open a place on a Redis that is there; at its end its programs and its topics are gone.

    client: of that Redis, which is empty. directory: for logs. settings: more, of all programs.
    """
    prefix = f"t{uuid4().hex[:10]}-"
    programs = Programs(bootstrap, redis_url, prefix, directory, **settings)
    wanted = {
        programs.events_topic: topics.EVENTS,
        programs.dead_letter_topic: topics.DEAD_LETTERS,
        programs.erasures_topic: topics.ERASURES,
        topics.API_KEYS_TOPIC: topics.API_KEYS,
    }
    services.create_topics(bootstrap, wanted)
    try:
        with programs:
            yield Place(bootstrap, client, programs)
    finally:
        services.delete_topics(bootstrap, prefix)
