"""What a rebuild would do, looked at before anything is written: its first step, and `rebuild --dry-run`.

Refused beforehand is what could not end well: a log that lost its beginning, which no archive has either, or
a Redis without the memory for a second generation.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from aggregator.config import AggregatorSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.store import Store
from aggregator.errors import GoneError, RefusedError
from aggregator.history.reader import History
from aggregator.log.admin import Cluster, Log
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.coverage import Coverage, coverage_of
from aggregator.rebuild.losses import Losses, losses_of
from schemas.counters import Generation
from schemas.kinds import REMEMBERED_MS

RECORDS_A_SECOND: Final = 5_000
"""Records in a wild order that a rebuild counts in a second beside live traffic, measured on two cores with
Kafka, Redis and all programs on them. An idle or bigger machine is faster, and so are records in order."""

BYTES_A_RECORD: Final = 100
"""Of Redis, for each record of events in a wild order, measured; the state of mails expires."""

BYTES_A_PROCESS: Final = 800_000_000
"""What a process of a rebuild takes at most, measured: what is fetched and the batches in flight."""

OTHER_TOPIC: Final = "the live generation was counted from another topic"


class RebuildRefusedError(RefusedError):
    """The rebuild cannot begin as asked, or ended before the switch: the live counters are untouched."""


@dataclass(frozen=True, slots=True)
class Plan:
    """What a rebuild would do.

    start, stop: offsets by partition. archived: up to where the archive has what lies between.
    partial: why the counters will not hold the whole history, if so.
    coverage: which cells of the live generation what is counted can speak for; of all cells that ever were
    where there is none. losses: live cells for which it cannot.
    used, limit: bytes of Redis's fullest node, and its limit (0 for none).
    live: the generation to replace, resumed: the one to go on with, none where there is none. lanes: how
    many the new one has.
    """

    start: dict[int, int]
    stop: dict[int, int]
    archived: dict[int, int]
    partial: str | None
    coverage: Coverage
    losses: Losses
    used: int
    limit: int
    live: Generation | None
    resumed: Generation | None
    lanes: int

    @property
    def records(self) -> int:
        """How many records will be read."""
        return sum(self.stop[number] - self.start[number] for number in self.stop)

    @property
    def records_archived(self) -> int:
        """How many of them the archive has."""
        return sum(self.archived[number] - self.start[number] for number in self.stop)

    @property
    def seconds(self) -> float:
        """About how long the counting takes, at `RECORDS_A_SECOND`."""
        return self.records / RECORDS_A_SECOND

    @property
    def more_bytes(self) -> int:
        """About how many bytes the new generation takes in Redis: as the live one, else by its records."""
        return self.used if self.live is not None else self.records * BYTES_A_RECORD


class Planner:
    """Looks at Kafka and Redis."""

    def __init__(self, settings: AggregatorSettings, keys: Keyspace, lanes: int | None) -> None:
        """Prepare.

        settings: with the rules to count by. keys: of the same Redis. lanes: how many the new generation is
        to have; none for as many as the live one has, or those of the settings where there is none.
        """
        self._settings = settings
        self._lanes = lanes
        self._keys = keys
        self._cluster = Cluster(settings)

    def log(self) -> Log:
        """Which log would be counted. Raises: KafkaUnavailableError."""
        return self._cluster.log()

    def plan(self, *, since_ms: int | None, offsets: Mapping[int, int], allow_truncated: bool) -> Plan:
        """What a rebuild would do.

        since_ms: count only records of that time or later; offsets: count partitions only from there on;
        both make partial counters. allow_truncated: also count a log whose beginning is gone.
        Raises: RebuildRefusedError, PostponedError of any kind.
        """
        found = self.log()
        unknown = sorted(number for number in offsets if number >= found.partitions)
        if unknown:
            raise RebuildRefusedError(f"the topic has partitions 0 to {found.partitions - 1}, not {unknown}")
        with History(self._settings, found.topic_id) as history:
            ranges = history.ranges(found.partitions)
            since = history.offsets_since(found.partitions, since_ms) if since_ms is not None else {}
            stops = {number: end for number, (_, end) in ranges.items()}
            starts = {
                number: min(max(first, since.get(number, 0), offsets.get(number, 0)), stops[number])
                for number, (first, _) in ranges.items()
            }
            partial = self._partial({n: first for n, (first, _) in ranges.items()}, starts, allow_truncated)
            live = self.live()
            counted = {number: (starts[number], stops[number]) for number in starts}
            counted_from = {} if live is None else self._counted_from(live, found)
            archived = history.archived(counted)
            coverage = coverage_of(history.bulk, counted, counted_from, self._keys.registry.now_ms())
        losses = Losses() if live is None else self._losses(live, found, coverage)
        used, limit = max(self._keys.memory(), key=lambda node: (node[1] > 0, node[0]))
        if live is not None and limit and used * 2 > limit:
            raise RebuildRefusedError(
                f"Redis uses {used:,} of {limit:,} bytes, and a second generation takes as much again:"
                " give it more memory"
            )
        lanes = self.lanes(live)
        resumed = self.resumable(found, starts, lanes)
        return Plan(starts, stops, archived, partial, coverage, losses, used, limit, live, resumed, lanes)

    def _counted_from(self, live: Generation, found: Log) -> Mapping[int, int]:
        """The offset at which each partition of the live counters begins, where that is not 0."""
        member = self._keys.registry.read().record.named(live.name)
        return member.start if member is not None and _is_of(live, found) else {}

    def _losses(self, live: Generation, found: Log, coverage: Coverage) -> Losses:
        if not _is_of(
            live, found
        ):  # a topic that was made anew is whole, and knows nothing of the former one
            return Losses(unknown=OTHER_TOPIC)
        if coverage.first_ms is None:
            return Losses()
        why_not = self.incomparable(live)
        return losses_of(self._keys, live, coverage) if why_not is None else Losses(unknown=why_not)

    def live(self) -> Generation | None:
        """The live generation. Raises: StoreUnavailableError, StoreUnsupportedError."""
        store = Store(self._settings)
        store.open()
        live = store.live()
        store.close()
        return live

    def lanes(self, live: Generation | None) -> int:
        """How many lanes the new generation has. live: the one to replace, none where there is none."""
        if self._lanes is not None:
            return self._lanes
        return self._settings.lanes if live is None else live.lanes

    @staticmethod
    def incomparable(live: Generation) -> str | None:
        """Why the counters of the live generation cannot be compared; none where they can."""
        if not live.is_readable:
            return "the live generation has another layout or counts other kinds"
        return None

    def unfollowable(self, live: Generation, found: Log) -> str | None:
        """Why a rebuild cannot follow the checkpoints of the live generation; none where it can.

        All layouts have had the same checkpoints. found: the log that is counted.
        Raises: StoreUnavailableError, KafkaUnavailableError.
        """
        if not _is_of(live, found):
            return OTHER_TOPIC
        try:
            checkpoints = self._checkpoints(live)
            if any(each.attempt for each in self._keys.registry.lanes.closed(live)):
                return "the live generation is closed to counting: Redis lost the switch to its successor"
        except GoneError:
            return "the live generation is not there as a whole: Redis was wiped"
        return self._out_of_log(checkpoints)

    def _out_of_log(self, checkpoints: list[dict[int, int]]) -> str | None:
        """Why no worker could count on from checkpoints in the log as it is; none where one can."""
        for number, (first, end) in self._ranges().items():
            at = [lane.get(number, 0) for lane in checkpoints]
            if max(at) > end:
                return "the live generation has counted records that the log has lost"
            if min(at) < first:
                return "the live generation has not counted records that the log no longer has"
        return None

    def dead_lettered(self, live: Generation | None) -> dict[int, int]:
        """For each partition, an offset below which every dead letter is written.

        A dead letter is acknowledged before any checkpoint passes its record. Where there are no checkpoints
        to go by, what the workers committed to Kafka stands in for them, as it follows them.
        live: the generation to go by, none where there is none.
        Raises: PostponedError of any kind.
        """
        checkpoints = self._checkpoints(live) if live is not None else []
        ends = {number: end for number, (_, end) in self._ranges().items()}
        below = dict.fromkeys(ends, 0)
        for number, at in self._cluster.commits(self._settings.consumer_group, len(ends)).items():
            if at <= ends[number]:  # else it is about a log that is gone
                below[number] = at
        for lane in checkpoints:
            for number, at in lane.items():
                below[number] = max(below.get(number, 0), at)
        return below

    def _checkpoints(self, live: Generation) -> list[dict[int, int]]:
        """For each lane, the checkpoints. Raises: GoneError."""
        return [self._keys.checkpoints(live, lane) for lane in range(live.lanes)]

    def _ranges(self) -> dict[int, tuple[int, int]]:
        """The first offset and the end of each partition that there is now: some may have been added."""
        partitions = self.log().partitions
        with BulkReader(self._settings) as bulk:
            return bulk.ranges(partitions)

    def resumable(self, found: Log, start: Mapping[int, int], lanes: int) -> Generation | None:
        """The generation that an earlier run began, if it may be gone on with; none otherwise.

        It must be of these rules, this log and this start, have so many lanes, and not be too old.
        found: the log that is counted. start: the offset to begin at, by partition.
        Raises: StoreUnavailableError.
        """
        begun = self._keys.registry.read().record.next
        if begun is None:
            return None
        made = begun.generation
        wanted = (self._settings.rules.fingerprint, lanes, *found[:2], beyond_zero(start))
        has = (made.rules, made.lanes, made.cluster_id, made.topic_id, begun.start)
        if has != wanted or not made.is_readable:
            return None
        return made if self._keys.registry.now_ms() - made.created_ms <= REMEMBERED_MS else None

    def _partial(
        self, first: Mapping[int, int], start: Mapping[int, int], allow_truncated: bool
    ) -> str | None:
        """Why the counters would not hold the whole history."""
        log = "the log begins" if not self._settings.archive_url else "archive and log together begin"
        gone = f"{log} at {', '.join(map(str, first.values()))}, not at 0" if any(first.values()) else None
        if gone and not allow_truncated:
            raise RebuildRefusedError(
                f"{gone}: counters made from it would miss what is gone;"
                " --allow-truncated makes them all the same"
            )
        if start != first:
            return f"what lies before offsets {', '.join(f'{n}:{at}' for n, at in start.items())} is left out"
        return gone


def _is_of(generation: Generation, log: Log) -> bool:
    return (generation.cluster_id, generation.topic_id) == log[:2]


def beyond_zero(start: Mapping[int, int]) -> dict[int, int]:
    """The partitions that do not begin at 0."""
    return {number: at for number, at in start.items() if at}
