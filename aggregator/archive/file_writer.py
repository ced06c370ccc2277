"""One file that is being written: rows come in, in the order of their offsets, and are packed by and by.

Packing is Arrow's work, which needs no interpreter: it is done in a thread, while the next rows are read.

Memory: rows wait until there are enough of them for a row group, and until they are packed; `waiting_bytes`
says how much that is. What is packed is in the local file. A row of the reference workload takes some 30
bytes there.
"""

from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from aggregator.archive.columns import SCHEMA, columns_of
from aggregator.archive.slim import SlimEvent

ROWS_A_GROUP: Final = 65_536

_TIMES: Final = ("record_time", "event_time")
_AS_DELTAS: Final = ("offset", *_TIMES)

_IN_DICTIONARIES: Final = [
    "topic_id",
    "partition",
    "reason",
    "type",
    "message_id",
    "sent_time",
    "tags.key_value.key",
    "tags.key_value.value.list.element",
    "odd_tags",
    "bounce_type",
    "bounce_sub_type",
    "complaint_feedback_type",
    "is_bot_event",
    "user_agent",
    "recipients.list.element",
]
"""What repeats. A message id and a pseudonym do as well: a mail is sent, delivered and read."""

_OPTIONS: Final[dict[str, Any]] = {
    "compression": "zstd",
    "use_dictionary": _IN_DICTIONARIES,
    "column_encoding": dict.fromkeys(_AS_DELTAS, "DELTA_BINARY_PACKED"),
    "dictionary_pagesize_limit": 64 * 1024 * 1024,
    "data_page_size": 4 * 1024 * 1024,
}


class FileWriter:
    """Writes a Parquet file at a local path. To be ended by `close` or `discard`."""

    def __init__(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Begin.

        path: of a file that is not there. metadata: what the file says of itself.
        Raises: OSError, also from all that writes.
        """
        self.path = path
        self._sink = pa.OSFile(str(path), "wb")
        self._writer = pq.ParquetWriter(self._sink, SCHEMA, **_OPTIONS)
        self._writer.add_key_value_metadata(dict(metadata))
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="pack")
        self._packing: Future[int] | None = None
        self._packing_bytes = 0
        self._waiting: list[Any] = []
        self._rows = self._bytes = 0
        self.rows = 0
        """All that were given."""
        self.size = 0
        """Of the file so far, in bytes, without what waits."""

    def add(self, topic_id: str, partition: int, events: Sequence[SlimEvent]) -> None:
        """Take in slim events, at least one."""
        self.add_batch(columns_of(topic_id, partition, events))

    def add_batch(self, batch: Any) -> None:
        """Take in rows as a record batch of the schema."""
        self._waiting.append(batch)
        self._rows += batch.num_rows
        self.rows += batch.num_rows
        self._bytes += batch.nbytes
        if self._rows >= ROWS_A_GROUP:
            self.pack()

    @property
    def waiting_bytes(self) -> int:
        """Of rows that are in memory."""
        packing = self._packing is not None and not self._packing.done()
        return self._bytes + self._packing_bytes * packing

    def pack(self) -> None:
        """Have the rows written that wait, once those before them are."""
        self._finish()
        if self._waiting:
            table = pa.Table.from_batches(self._waiting, SCHEMA)
            self._packing = self._thread.submit(self._write, table)
            self._packing_bytes = self._bytes
            self._waiting, self._rows, self._bytes = [], 0, 0

    def _finish(self) -> None:
        """Wait for what is being packed."""
        if self._packing is not None:
            packing, self._packing = self._packing, None
            self.size = packing.result()

    def _write(self, table: Any) -> int:
        self._writer.write_table(table, row_group_size=1 << 30)
        return int(self._sink.tell())

    def close(self) -> None:
        """Write all that is left: the file is whole."""
        self.pack()
        self._finish()
        self._writer.close()
        self._sink.close()
        self._thread.shutdown()

    def discard(self) -> None:
        """Give the file up; one that was put in place stays there."""
        self._waiting = []
        self._thread.shutdown()
        with suppress(OSError):  # a full disk cannot keep what is thrown away
            self._writer.close()
            self._sink.close()
        self.path.unlink(missing_ok=True)
