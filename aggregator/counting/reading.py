"""From a fetched batch to what must be done with it. Pure.

A fetched batch is read record by record; what comes out are the events of each lane, the dead letters, and
how many records had which outcome. What comes out is weighed, in bytes of memory, so that whoever reads can
stop before it is too much.
"""

from collections import Counter, defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from sys import getsizeof
from typing import Final, NamedTuple, Protocol

from aggregator.counting.checkpoints import Backlog, Events
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import PSEUDONYM_BYTES, Facts, Refusal, Scopes, type_of_outcome
from schemas.kinds import FIELDS
from schemas.redis_keys import lane_of
from schemas.topics import CUT_KEY_BYTES, CUT_VALUE_BYTES, RECORD_MAX_BYTES, VALUE_MAX_BYTES

FLOOD_WINDOW: Final = 1000

WEIGHT_A_READING: Final = 8 * 1024 * 1024
"""A reading ends with the record that makes it heavier, in bytes."""

BYTES_A_READING: Final = 64 * 1024 * 1024
"""Or once the values that it has read are so long: who reads has other things to do too."""


RECIPIENT_BYTES: Final = getsizeof(bytes(PSEUDONYM_BYTES)) + 8
"""About, of memory: a pseudonym, and its place in a tuple."""


class KafkaRecord(Protocol):
    """What we use of a record, whichever client read it."""

    @property
    def offset(self) -> int:
        """Its offset in the partition."""

    @property
    def timestamp(self) -> int:
        """Its own Kafka time, in ms since 1970."""

    @property
    def key(self) -> bytes | None:
        """Its key."""

    @property
    def value(self) -> bytes | None:
        """Its value."""


class Record(NamedTuple):
    """A record with its headers: one that may be `too_large`, as it came in a large batch."""

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    headers: tuple[tuple[str, bytes | None], ...] = ()


class DeadLetter(NamedTuple):
    """A record that was refused, as its dead letter keeps it, and why.

    value_bytes: how long its value was, where it is `too_large`; then key and value are cut.
    """

    offset: int
    timestamp: int
    key: bytes | None
    value: bytes | None
    reason: Refusal
    value_bytes: int | None = None


def is_too_large(record: Record) -> bool:
    """Whether a record is larger than any may be: step 0 of the law."""
    value_bytes = len(record.value or b"")
    together = len(record.key or b"") + value_bytes
    together += sum(len(name.encode()) + len(content or b"") for name, content in record.headers)
    return value_bytes > VALUE_MAX_BYTES or together > RECORD_MAX_BYTES


def cut(record: KafkaRecord, reason: Refusal) -> DeadLetter:
    """The dead letter of a record that was read: its headers go, and what is `too_large` is cut."""
    key, value = record.key, record.value
    if reason is not Refusal.TOO_LARGE:
        return DeadLetter(record.offset, record.timestamp, key, value, reason)
    return DeadLetter(
        record.offset,
        record.timestamp,
        None if key is None else key[:CUT_KEY_BYTES],
        None if value is None else value[:CUT_VALUE_BYTES],
        reason,
        len(value or b""),
    )


def outcome_of(decoder: Decoder, record: KafkaRecord) -> type_of_outcome:
    """What a record states; it may have been refused before it was read."""
    return refused_unread(record) or decoder.read(record.value, record.timestamp)


def refused_unread(record: KafkaRecord) -> Refusal | None:
    """Why a record is refused before its value is read; none for nearly all."""
    if type(record) is DeadLetter:
        return record.reason
    if type(record) is Record and is_too_large(record):
        return Refusal.TOO_LARGE
    return None


@dataclass(slots=True)
class Reading:
    """What some records say.

    by_lane: the events that state facts. dead_letters: what was refused, and why. unreadable: the offsets of
    those that were. outcomes: counts records by the outcome's name; `counted` stands for facts.
    stated: by the kinds that an event states together, how many recipients or messages it was stated of.
    weight: about how many bytes of memory events and dead letters take.
    end: the offset after the last record, where there may be more of them; none where there are none.
    """

    by_lane: dict[int, Events] = field(default_factory=dict)
    dead_letters: list[DeadLetter] = field(default_factory=list)
    unreadable: list[int] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    stated: Counter[tuple[int, ...]] = field(default_factory=Counter)
    weight: int = 0
    end: int | None = None


def read_batch(decoder: Decoder, lanes: int, records: Iterator[KafkaRecord]) -> Reading:
    """Read on, until all is read or what came of it is heavy.

    decoder: of the rules. lanes: how many the generation has. records: of one partition, in order; where
    `end` is set in what is returned, the next call goes on with the same iterator.
    """
    reading = Reading()
    by_lane, outcomes, stated = reading.by_lane, reading.outcomes, reading.stated
    places: dict[Scopes, Events] = {}
    read, size_of = decoder.read, getsizeof
    weight = bytes_read = 0
    for record in records:
        value = record.value
        kind = type(record)
        if kind is Record or kind is DeadLetter:  # of a large batch, or of none
            outcome = outcome_of(decoder, record)
        else:
            outcome = read(value, record.timestamp)
        if type(outcome) is Facts:
            events = places.get(outcome.scopes)
            if events is None:
                lane = lane_of(outcome.scopes.tenant, lanes)
                events = places[outcome.scopes] = by_lane.setdefault(lane, [])
            events.append((record.offset, outcome))
            recipients = len(outcome.recipients)
            stated[outcome.kinds] += recipients
            weight += size_of(outcome.message_id) + RECIPIENT_BYTES * recipients
        elif isinstance(outcome, Refusal):
            dead_letter = record if type(record) is DeadLetter else cut(record, outcome)
            reading.dead_letters.append(dead_letter)
            weight += size_of(dead_letter) + size_of(dead_letter.key) + size_of(dead_letter.value)
            outcomes[outcome] += 1
            if outcome is Refusal.UNREADABLE:
                reading.unreadable.append(record.offset)
        else:
            outcomes[str(outcome)] += 1
        if value:
            bytes_read += len(value)
        if weight > WEIGHT_A_READING or bytes_read > BYTES_A_READING:
            reading.end = record.offset + 1
            break
    reading.weight = weight
    outcomes["counted"] = sum(map(len, by_lane.values()))
    return reading


def read_all(decoder: Decoder, lanes: int, records: Iterator[KafkaRecord]) -> Iterator[Reading]:
    """Read records to their end, a bounded part at a time: the next one is read when it is asked for.

    Arguments: as `read_batch`.
    Returns: what each part says, at least one; the last one alone has no `end`.
    """
    while True:
        reading = read_batch(decoder, lanes, records)
        yield reading
        if reading.end is None:
            return


class FloodWatch:
    """Tells a bad deploy from bad data: whether most of the last records could not be read.

    Only `unreadable` counts: no tag that a tenant chooses makes a record unreadable. A record that is read
    again, after a resync, says nothing new.
    """

    def __init__(self) -> None:
        self._last: deque[bool] = deque(maxlen=FLOOD_WINDOW)
        self._seen: dict[int, int] = {}

    def is_flood(self, partition: int, first: int, end: int, unreadable: Iterable[int]) -> bool:
        """Take in what was read of a partition: offsets [first, end).

        unreadable: which of them could not be read.
        Returns: whether at some record that is new more than half of the last 1,000 were unreadable.
        """
        first = max(first, self._seen.get(partition, 0))
        self._seen[partition] = max(first, end)
        bad = {offset for offset in unreadable if offset >= first}
        last = self._last
        total = sum(last)
        if not bad and not total:  # nearly always
            last.extend([False] * min(end - first, FLOOD_WINDOW))
            return False
        for offset in range(first, end):
            if len(last) == FLOOD_WINDOW:
                total -= last[0]
            last.append(offset in bad)
            total += last[-1]
            if len(last) == FLOOD_WINDOW and total * 2 > FLOOD_WINDOW:
                return True
        return False


class Pending:
    """What some reading came to and is not yet submitted: work in progress, of a worker or a rebuild.

    Law: it is submitted as a whole, dead letters first, so that no checkpoint passes a record whose dead
    letter is not written (`aggregator.counters.sink`).
    """

    def __init__(self) -> None:
        self.backlog = Backlog()
        """Filled by `Partition.read`."""
        self.dead_letters: defaultdict[int, list[DeadLetter]] = defaultdict(list)
        """By partition, by rising offset."""
        self.outcomes: Counter[str] = Counter()
        """Counts records by the outcome's name."""
        self.stated: Counter[tuple[int, ...]] = Counter()
        """As in `Reading`, without what was counted before."""
        self.weight = 0
        """Of events and dead letters, in bytes of memory."""

    def add(self, partition: int, reading: Reading, counted: Events, dead_lettered: int = 0) -> None:
        """Take in what was read of a partition, but for its events, which the backlog is given.

        counted: those of its events that were counted before, as `Partition.read` says. dead_lettered: the
        offset below which the partition's dead letters are written already.
        """
        if reading.dead_letters:
            self.dead_letters[partition] += [
                each for each in reading.dead_letters if each.offset >= dead_lettered
            ]
        self.outcomes.update(reading.outcomes)
        self.stated.update(reading.stated)
        for _, facts in counted:
            self.stated[facts.kinds] -= len(facts.recipients)
        self.weight += reading.weight

    def facts_by_kind(self) -> Counter[str]:
        """How many facts were stated, repeated ones too: by the field of their kind."""
        found: Counter[str] = Counter()
        for kinds, number in self.stated.items():
            for kind in kinds:
                found[FIELDS[kind]] += number
        return found
