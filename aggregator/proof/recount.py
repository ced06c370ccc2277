"""The law of counting in SQL, run: slim events come in batch by batch, cells come out.

Knows no Kafka and no Redis. Memory: DuckDB takes what it is given (`memory_mb`), whatever comes, and has the
rest in files of a temporary directory (`TMPDIR`), some 300 bytes an event. What cannot be grouped at once
with that is grouped piece by piece, and read once for each. Beside that there are the batches that wait, some
32 MiB, and of what is compared the cells of one tenant at a time.

It never goes to the network, and reads no file but its own: extensions are neither fetched nor loaded.
"""

import shutil
import tempfile
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import chain, groupby, islice
from operator import itemgetter
from types import TracebackType
from typing import Any, Final, NamedTuple, Self

import duckdb
import pyarrow as pa

from aggregator.archive.columns import SCHEMA
from aggregator.counting.cells import Cell
from aggregator.counting.rules import NO_ERASURES, Erasures, Rules
from aggregator.errors import NoRoomError
from aggregator.proof.law import CHECKPOINTS, ERASURES, LAW, parameters
from schemas.instants import DAY_MS

_TAGS: Final = SCHEMA.get_field_index("tags")
_ENTRIES: Final = pa.list_(pa.struct([("key", pa.string()), ("value", pa.list_(pa.string()))]))
"""Tags as the law takes them. As a map of Arrow's they would take DuckDB ten times as long."""

THREADS: Final = 2
"""Each of them wants its part of the memory, and the other programs their part of the processors."""

_MIB: Final = 1024 * 1024

WAITING_ROWS: Final = 65_536
WAITING_BYTES: Final = 32 * _MIB
"""Batches wait until they have so many rows, or are so large in memory."""

_ROWS: Final = 65_536
"""Of other tables that go in or come out at a time."""

_GROUPING_MB: Final = 56
_PIECE_SHARE: Final = 10
"""What is grouped at a time is at most this many times as large as the memory beyond what any grouping takes.

DuckDB groups more than fits by parts, in files, but by 128 at most, of which each thread holds one: what it
needs grows with what there is. Measured with two threads: 50 MiB, and a twentieth of what is grouped.
"""

_TABLES: Final = """
SET VARIABLE piece = 0;
SET VARIABLE pieces = 1;
CREATE TEMP MACRO in_piece(key_hash) AS key_hash % getvariable('pieces') = getvariable('piece');
DROP VIEW told;
CREATE TEMP TABLE kept AS FROM facts LIMIT 0;
CREATE TEMP VIEW told AS FROM kept WHERE in_piece(hash(message_id, recipient, field));
DROP VIEW counted;
CREATE TEMP TABLE counted AS FROM once LIMIT 0;
DROP VIEW scoped;
CREATE TEMP TABLE scoped AS FROM by_scope LIMIT 0;
DROP VIEW known;
CREATE TEMP TABLE known AS FROM by_id LIMIT 0;
CREATE TEMP TABLE wanted (tenant VARCHAR);
CREATE TEMP TABLE held (tenant VARCHAR, scope VARCHAR, id VARCHAR, at_ms BIGINT, field VARCHAR, n BIGINT);
CREATE TEMP VIEW either AS
FROM (
  SELECT * RENAME (n AS log), 0 AS other FROM parts UNION ALL SELECT * EXCLUDE (n), 0, n FROM held
) WHERE in_piece(hash(tenant, scope, id));
CREATE TEMP TABLE compared AS FROM either LIMIT 0;
SET VARIABLE unlisted = 0;
"""
"""Facts are grouped piece by piece, and so are cells: rows of equal keys are of one piece."""

_FACT_BYTES: Final = """
SELECT sum(160 + strlen(tenant) + strlen(message_id) + coalesce(octet_length(recipient), 0)
  + coalesce(list_sum(list_transform(ids, lambda id: 16 + coalesce(strlen(id), 0))), 0)) FROM kept
"""

_COUNT: Final = """
CREATE OR REPLACE TEMP TABLE counted AS FROM once;
INSERT INTO scoped FROM by_scope;
TRUNCATE counted;
"""
"""Step by step: each groups what may be more than the memory, and in one query all of them want their part
at once, for which DuckDB may not find the room."""

_CELL_BYTES: Final = """
SELECT sum(112 + strlen(tenant) + coalesce(strlen(id), 0)) FROM (
  SELECT tenant, id FROM scoped UNION ALL SELECT tenant, id FROM held
)
"""

_COMPARE: Final = """
CREATE OR REPLACE TEMP TABLE known AS FROM by_id WHERE in_piece(hash(tenant, scope, id));
INSERT INTO compared
SELECT tenant, scope, id, at_ms, field, sum(log)::BIGINT, sum(other)::BIGINT FROM either GROUP BY ALL;
"""
"""What adds up to the log's cells is put together with the other side's in one step: most of a recount's time
is grouping."""


class Counts(NamedTuple):
    """A tenant's cells that are not 0: by the log, and as they were given."""

    tenant: str
    log: dict[Cell, int]
    held: dict[Cell, int]


class Recount:
    """Counts slim events. To be closed, or used in `with`.

    All of it raises NoRoomError where memory or disk do not suffice.
    """

    def __init__(self, rules: Rules, memory_mb: int, erasures: Erasures = NO_ERASURES) -> None:
        """Prepare.

        rules: to count by. memory_mb: what DuckDB may take. erasures: all that there are.
        """
        self._directory = tempfile.TemporaryDirectory(prefix="ses-metrics-recount-")
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0
        self._take = "INSERT INTO kept FROM facts"
        self._piece_bytes = _PIECE_SHARE * max(memory_mb - _GROUPING_MB, 1) * _MIB
        with _room():
            self._db = duckdb.connect(
                config={
                    "memory_limit": f"{memory_mb}MiB",
                    "temp_directory": self._directory.name,
                    "threads": THREADS,
                    "preserve_insertion_order": False,
                    "autoinstall_known_extensions": False,
                    "autoload_known_extensions": False,
                }
            )
            self._db.execute("SET enable_external_access = false")
            self._give(SCHEMA.empty_table())
            self._db.execute(parameters(rules) + CHECKPOINTS + ERASURES + LAW + _TABLES)
            self._fill("erasures", ((tenant, each.through_ms) for tenant, each in erasures.table.items()))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Forget all; the files are gone with it."""
        self._db.close()
        self._directory.cleanup()

    def discard(self) -> None:
        """Remove the files, whatever another thread is doing with them: the process is about to end."""
        shutil.rmtree(self._directory.name, ignore_errors=True)

    def only(self, tenants: Iterable[str]) -> None:
        """From now on take in events of these tenants alone."""
        self._take_in()
        self._take = "INSERT INTO kept FROM facts WHERE tenant IN (FROM wanted)"
        with _room():
            self._fill("wanted", ((tenant,) for tenant in tenants))

    def add(self, batch: Any) -> None:
        """Take in a record batch of the archive's schema, in any order and any number of times."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= WAITING_ROWS or self._bytes >= WAITING_BYTES:
            self._take_in()

    def tenants(self) -> list[str]:
        """Those that the events tell of."""
        self._take_in()
        with _room():
            return [tenant for (tenant,) in self._db.execute("SELECT DISTINCT tenant FROM kept").fetchall()]

    def count_below(self, checkpoints: Iterable[tuple[str, Mapping[int, int]]]) -> None:
        """From now on only what is below its tenant's checkpoints counts, and only of tenants that are named.

        checkpoints: with the tenant of each.
        """
        self._take_in()
        with _room():
            self._db.execute("DELETE FROM checkpoints")
            self._fill(
                "checkpoints", ((tenant, *below) for tenant, of in checkpoints for below in of.items())
            )

    def hold(self, cells: Any) -> None:
        """Take in cells of the other side: a table of `proof.held.HELD`."""
        with _room():
            self._insert("held", cells)

    def compare(self) -> int:
        """Count, and put both sides together. Returns: how many cells there are on either."""
        self._count()
        with _room():
            self._db.execute("TRUNCATE compared")
            self._piecewise(_CELL_BYTES, _COMPARE)
            self._db.execute("TRUNCATE scoped; TRUNCATE known")
            return self._number("SELECT count(*) FROM compared")

    def both(self, *, equal: bool) -> Iterator[Counts]:
        """The cells of both sides as they were compared last, tenant by tenant, in order.

        equal: those too in which they agree.
        """
        with _room():
            rows = self._read(f"FROM compared {'' if equal else 'WHERE log <> other'} ORDER BY tenant")
            for tenant, of_tenant in groupby(rows, key=itemgetter(0)):
                counts = Counts(tenant, {}, {})
                for *where, log, other in of_tenant:
                    cell = Cell(*where)
                    if log:
                        counts.log[cell] = log
                    if other:
                        counts.held[cell] = other
                yield counts

    def day(self, tenant: str, day: int) -> dict[Cell, int]:
        """A tenant's cells of a day, since 1970."""
        query = "FROM cells WHERE tenant = $tenant AND at_ms >= $first AND at_ms < $next"
        asked = {"tenant": tenant, "first": day * DAY_MS, "next": (day + 1) * DAY_MS}
        self._count()
        with _room():
            return {Cell(*where): count for *where, count in self._read(query, asked)}

    def _count(self) -> None:
        """Count each fact once, for all that it counts for."""
        with _room():
            self._db.execute("TRUNCATE scoped")
            self._piecewise(_FACT_BYTES, _COUNT)

    def _piecewise(self, how_large: str, steps: str) -> None:
        """Run steps for one piece after the other. how_large: asks for the bytes of all of them."""
        pieces = 1 + self._number(how_large) // self._piece_bytes
        self._db.execute(f"SET VARIABLE pieces = {pieces}")
        for piece in range(pieces):
            self._db.execute(f"SET VARIABLE piece = {piece}; {steps}")

    def _number(self, query: str) -> int:
        """What a query for one number finds; 0 where it finds NULL."""
        return int(self._db.execute(query).fetchall()[0][0] or 0)

    def _take_in(self) -> None:
        """Keep the facts of the batches that wait."""
        if self._waiting:
            with _room():
                self._give(pa.Table.from_batches(self._waiting, SCHEMA))
                self._db.execute(self._take)
                self._give(SCHEMA.empty_table())
            self._waiting, self._rows, self._bytes = [], 0, 0

    def _give(self, events: Any) -> None:
        """Have the law take these events, and no others."""
        tags = events.column(_TAGS).cast(_ENTRIES)
        self._db.register("slim", events.set_column(_TAGS, "tags", tags))

    def _fill(self, table: str, rows: Iterable[tuple[Any, ...]]) -> None:
        """Insert rows, a bounded part at a time."""
        types = self._db.sql(f"FROM {table} LIMIT 0").to_arrow_table().schema
        left = iter(rows)
        for first in left:
            columns = zip(*chain((first,), islice(left, _ROWS)), strict=True)
            arrays = [pa.array(column, of.type) for column, of in zip(columns, types, strict=True)]
            self._insert(table, pa.table(arrays, schema=types))

    def _insert(self, table: str, rows: Any) -> None:
        self._db.register("rows", rows)
        self._db.execute(f"INSERT INTO {table} FROM rows")
        self._db.unregister("rows")

    def _read(self, query: str, asked: Mapping[str, Any] | None = None) -> Iterator[tuple[Any, ...]]:
        """The rows of a query, as they are asked for."""
        for batch in self._db.sql(query, params=asked).to_arrow_reader(_ROWS):
            yield from zip(*[column.to_pylist() for column in batch.columns], strict=True)


@contextmanager
def _room() -> Iterator[None]:
    try:
        yield
    except (duckdb.OperationalError, duckdb.FatalException, OSError) as error:
        first_line = str(error).partition("\n")[0]
        raise NoRoomError(
            f"counting again takes more room (RECOUNT_MEMORY_MB, or the disk of TMPDIR): {first_line}"
        ) from error
