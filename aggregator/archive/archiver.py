"""Follows the topic and writes its records into the archive, as slim events.

Law: there is no state but the names of the files. Each partition is read from the first offset on that no
file covers; what was read and is in no file yet is read again by whoever comes next. So it may be killed
anywhere, and two at once write the same rows, perhaps in files that overlap. Before a file is put in place
Kafka is asked whether the topic is still the one whose id is in the name.

Erasures of tenants are read to their end before the first record is, and looked for after each file that was
put in place and every few seconds. Where there are new ones all files are gone through (`erase`), and those
that are under way once they are in place. So no row of an erased tenant stays, whenever it was read. Only
where an archiver is killed between putting a file in place and looking, `archive erase` is to be run again.
"""

import threading
import time
from collections import deque
from collections.abc import Mapping
from typing import Final

import structlog

from aggregator import metrics
from aggregator.archive.coverage import File, topic_id_of, uncovered
from aggregator.archive.erase import Erasing, erase_all, erase_in
from aggregator.archive.file_writer import FileWriter
from aggregator.archive.merge import merged
from aggregator.archive.slim import Reducer
from aggregator.archive.store import Store
from aggregator.archive.trim import trim
from aggregator.config import ArchiveSettings
from aggregator.counting.facts import key_check
from aggregator.counting.rules import NO_ERASURES
from aggregator.errors import ArchiveUnavailableError, KafkaUnavailableError, OtherLogError, RefusedError
from aggregator.log.admin import Cluster, Log
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.erasures import ErasureTopic
from schemas.archive import ALWAYS_DROPPED, CLUSTER_KEY, DROPPED_KEY, KEY_CHECK_KEY, VERSION, VERSION_KEY
from schemas.instants import DAY_MS

log = structlog.get_logger(__name__)

WAITING_MAX_BYTES: Final = 128 * 1024 * 1024
"""Rows of all partitions that wait in memory for a row group."""

LOOK_S: Final = 10.0
"""Between two looks at where the topic ends."""

TRIM_S: Final = 3600.0

RETRY_S: Final = 5.0


class OtherKeyError(RefusedError):
    """The archive was begun with another RECIPIENT_KEY."""


class _Part:
    """What is under way of one partition: its span of offsets, and the file of its first ones.

    erased: up to where the topic of erasures was known when it was begun.
    """

    def __init__(self, first: int, stop: int | None, erased: int) -> None:
        self.first = self.position = first
        self.erased = erased
        self.stop = stop
        """Where a file that is there begins."""
        self.writer: FileWriter | None = None
        self.since = 0.0

    @property
    def is_at_its_stop(self) -> bool:
        return self.stop is not None and self.position >= self.stop


class Archiver:
    """Writes one archive. For one thread."""

    def __init__(self, settings: ArchiveSettings, store: Store, trim_days: int | None = None) -> None:
        """Prepare.

        settings: where Kafka is, the key, and how files are cut. store: of the archive. trim_days: so old
        is what is deleted from the topic once it is archived; none: nothing is.
        """
        self._trim_days = trim_days
        self._settings = settings
        self._store = store
        self._cluster = Cluster(settings)
        self._reducer = Reducer(settings.recipient_key, ALWAYS_DROPPED | settings.archive_drop_tags)
        self._erasures = ErasureTopic(settings)
        self._erasing = Erasing(settings.rules, NO_ERASURES)
        self._log = Log("", "", 0)
        self._topic_id = ""
        self._files: dict[int, list[File]] = {}
        self._parts: dict[int, _Part] = {}
        self._looks: deque[tuple[float, Mapping[int, int]]] = deque()
        self.trouble: str | None = "the archive was not read yet"
        """Why nothing is archived; none while something is."""

    def run(self, stopped: threading.Event, *, once: bool = False) -> None:
        """Write the archive until `stopped`, or up to where the topic ends now; then end all files.

        Raises: PostponedError of any kind: run again, and it goes on; RefusedError: it must not be.
        """
        self._begin()
        try:
            with BulkReader(self._settings) as bulk:
                ends = self._assign(bulk)
                self.trouble = None
                looked = trimmed = time.monotonic()
                while not stopped.is_set():
                    self._read(bulk)
                    if once and all(part.position >= ends[n] for n, part in self._parts.items()):
                        break
                    self._end_files(bulk, stopped, all_of_them=False)
                    if time.monotonic() - looked > LOOK_S:
                        looked = time.monotonic()
                        self._look(bulk)
                        self._hear()
                    if time.monotonic() - trimmed > TRIM_S:
                        trimmed = time.monotonic()
                        try:
                            self._trim(bulk)
                        except KafkaUnavailableError as error:  # no reason to give up what was read
                            log.warning("nothing was deleted from the topic", why=str(error))
                self._end_files(bulk, stopped, all_of_them=True)
                if once:
                    self._trim(bulk)
        except OSError as error:  # of a local file: the disk is full
            raise ArchiveUnavailableError(f"a file that is being written: {error}") from error
        finally:
            self._erasures.close()
            for part in self._parts.values():
                if part.writer is not None:
                    part.writer.discard()

    def _begin(self) -> None:
        """See which topic this is and what the archive has of it."""
        self._log = self._cluster.log()
        self._topic_id = topic_id_of(self._log.topic_id)
        self._erasing = Erasing(self._settings.rules, self._erasures.read())
        self._parts, self._looks = {}, deque()
        for last, said in self._store.last_of_topics().items():
            if said.get(VERSION_KEY) != str(VERSION):
                raise RefusedError(f"{last.name} is of version {said.get(VERSION_KEY)}, not {VERSION}")
            if said.get(KEY_CHECK_KEY) != key_check(self._settings.recipient_key):
                raise OtherKeyError(
                    f"{last.name} was written with another RECIPIENT_KEY: the same person would have two"
                    " pseudonyms. Set the key that the archive was begun with, or name another ARCHIVE_URL"
                )
        self._list()

    def _list(self) -> None:
        """See which files of the topic there are."""
        self._files = {number: [] for number in range(self._log.partitions)}
        for file in self._store.files():
            if file.topic_id == self._topic_id:
                self._files.setdefault(file.partition, []).append(file)

    def _assign(self, bulk: BulkReader) -> dict[int, int]:
        """Begin where the archive ends. Returns: where the topic ends now."""
        ranges = bulk.ranges(self._log.partitions)
        for number, (start, _) in ranges.items():
            files = self._files[number]
            span = uncovered(files, start)
            self._parts[number] = _Part(span.first, span.next, self._erasing.end)
            held = uncovered(files, min((file.first for file in files), default=0)).first
            if start > held:
                log.error(
                    "the topic no longer has what the archive lacks", partition=number, at=held, to=start
                )
        bulk.assign({number: part.position for number, part in self._parts.items()})
        self._look(bulk)
        return {number: end for number, (_, end) in ranges.items()}

    def _read(self, bulk: BulkReader) -> None:
        """Take in what has come."""
        for number, records in bulk.poll().items():
            part = self._parts[number]
            kept = [each for each in records if part.stop is None or each.offset < part.stop]
            if kept:
                rows = self._erasing.of(list(map(self._reducer.reduce, kept)))
                self._writer(part).add(self._topic_id, number, rows)
        for number, position in bulk.positions.items():
            part = self._parts[number]
            if part.position == part.first < position:
                part.since = time.monotonic()
            part.position = position if part.stop is None else min(position, part.stop)
        writers = [part.writer for part in self._parts.values() if part.writer is not None]
        while sum(each.waiting_bytes for each in writers) > WAITING_MAX_BYTES:
            max(writers, key=lambda each: each.waiting_bytes).pack()

    def _writer(self, part: _Part) -> FileWriter:
        if part.writer is None:
            said = {
                VERSION_KEY: str(VERSION),
                CLUSTER_KEY: self._log.cluster_id,
                KEY_CHECK_KEY: key_check(self._settings.recipient_key),
                DROPPED_KEY: ",".join(sorted(self._settings.archive_drop_tags)),
            }
            part.writer = FileWriter(self._store.unfinished(), said)
        return part.writer

    def _end_files(self, bulk: BulkReader, stopped: threading.Event, *, all_of_them: bool) -> None:
        """Put files in place that are large or old enough, and go on behind them."""
        largest = self._settings.archive_file_mb * 1024 * 1024
        oldest = time.monotonic() - 60 * self._settings.archive_file_minutes
        jumped = False
        for number, part in self._parts.items():
            if part.position == part.first:
                continue
            large = part.writer is not None and part.writer.size >= largest
            if all_of_them or large or part.is_at_its_stop or part.since <= oldest:
                self._end_file(number, part, stopped)
                self._merge(number)
                span = uncovered(self._files[number], part.position)
                jumped = jumped or span.first != part.position
                self._parts[number] = _Part(span.first, span.next, self._erasing.end)
        if jumped:
            bulk.assign({number: part.position for number, part in self._parts.items()})

    def _end_file(self, number: int, part: _Part, stopped: threading.Event) -> None:
        writer = self._writer(part)
        writer.close()
        file = File(self._topic_id, number, part.first, part.position)
        if self._cluster.log() != self._log:
            raise OtherLogError("the topic was changed while it was read")
        placed = self._put(writer, file, stopped)
        part.writer = None
        self._files[number].append(placed)
        self._hear()
        if part.erased != self._erasing.end:
            erase_in(self._store, placed, self._erasing)
            self._list()
        metrics.ARCHIVE_RECORDS.inc(writer.rows)
        metrics.ARCHIVE_FILES.labels("records").inc()
        log.info("a file is in place", file=file.name, records=writer.rows)

    def _put(self, writer: FileWriter, file: File, stopped: threading.Event) -> File:
        """Put a file in place, however long it takes: until then nothing more is read."""
        while True:
            try:
                placed = self._store.put(writer.path, file)
            except ArchiveUnavailableError as error:
                if stopped.is_set() or not writer.path.exists():
                    raise
                if self.trouble is None:
                    log.warning("waiting for the archive's store", why=str(error))
                self.trouble = str(error)
                stopped.wait(RETRY_S)
            else:
                self.trouble = None
                return placed

    def _merge(self, number: int) -> None:
        most_bytes = self._settings.archive_file_mb * 1024 * 1024
        before = self._files[number]
        try:
            after = self._files[number] = merged(self._store, before, most_bytes)
        except ArchiveUnavailableError as error:  # the files are as good as before
            log.warning("files were not merged", partition=number, why=str(error))
            self._list()
        else:
            for file in set(after) - set(before):
                metrics.ARCHIVE_FILES.labels("files").inc()
                log.info("files were merged", file=file.name)
            self._hear()

    def _hear(self) -> None:
        """Where tenants were erased meanwhile, erase them in all files."""
        if self._erasures.end() != self._erasing.end:
            self._erasing = Erasing(self._settings.rules, self._erasures.read())
            number = erase_all(self._store, self._erasing)
            log.info("tenants were erased", files=number)
            self._list()

    def _trim(self, bulk: BulkReader) -> None:
        if self._trim_days is not None:
            before_ms = time.time_ns() // 1_000_000 - self._trim_days * DAY_MS
            group = self._settings.consumer_group
            for number, offset in trim(self._cluster, bulk, self._files, group, before_ms).items():
                log.info("deleted from the topic what is archived", partition=number, below=offset)

    def _look(self, bulk: BulkReader) -> None:
        """See how far behind the topic's end the archive is."""
        now = time.time()
        ends = {number: end for number, (_, end) in bulk.ranges(self._log.partitions).items()}
        self._looks.append((now, ends))
        placed = {number: part.first for number, part in self._parts.items()}
        for number, end in ends.items():
            metrics.ARCHIVE_LAG_RECORDS.labels(str(number)).set(max(0, end - placed[number]))
        while self._looks and all(placed[number] >= end for number, end in self._looks[0][1].items()):
            metrics.ARCHIVE_COMPLETE_THROUGH.set(self._looks.popleft()[0])
