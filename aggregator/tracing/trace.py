"""Following a record: its outcome under the rules, its facts, its cells, and where each fact stands now.

Law: nothing is written, and nothing is told that was not looked up: where Redis cannot be asked, the outcome
is told all the same, and why no more is known.
"""

from collections import defaultdict
from contextlib import closing
from dataclasses import dataclass
from types import TracebackType
from typing import Final, NamedTuple, Self

from aggregator.config import AggregatorSettings
from aggregator.counters.generation import validate
from aggregator.counters.keyspace import Entry, Keyspace
from aggregator.counting.cells import Cell, counted_cells, stored_cells
from aggregator.counting.decode import Decoder
from aggregator.counting.event_types import EVENT_TYPES
from aggregator.counting.events import EventDecoder
from aggregator.counting.facts import Facts, Refusal, type_of_outcome
from aggregator.counting.reading import outcome_of
from aggregator.counting.states import HORIZON_OF, Identities, group_of, quarter_of
from aggregator.errors import PostponedError
from aggregator.log.admin import Cluster
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.dead_letters import dead_letter_key
from aggregator.log.erasures import ErasureTopic
from aggregator.log.redrive import DeadLetterTopic
from aggregator.tracing.find import Finder, Found
from aggregator.tracing.standing import Lane, Standing, Told, standing_of
from schemas.counters import Generation
from schemas.instants import DAY_MS, QUARTERS
from schemas.kinds import FUTURE_MS, HORIZONS, KINDS, REMEMBERED_MS
from schemas.redis_keys import BLOCK_DAYS, lane_of, safe_id


class Event(NamedTuple):
    """What an event says of itself, as it stands there; none where it says nothing, or no text."""

    type: str | None = None
    message_id: str | None = None
    sent: str | None = None
    time: str | None = None


class FactStanding(NamedTuple):
    """One fact: of which kind (its place in `KINDS`) and recipient (a pseudonym, or none)."""

    kind: int
    recipient: bytes | None
    standing: Standing


class Counts(NamedTuple):
    """What Redis says of a record that states facts.

    lane: its number. checkpoint: of the record's partition. facts: in the order of recipients and kinds.
    cells: all that the record's facts count in, if they count when it says, with what stands there now.
    """

    generation: str
    lane: int
    checkpoint: int
    facts: list[FactStanding]
    cells: list[tuple[Cell, int]]


@dataclass(frozen=True)
class Trace:
    """A record, and what became of it.

    outcome: under the rules of the settings. counts: none where it states no facts, or Redis was of no help;
    then `unknown` says why. dead_letter: where the dead letter of a refused one lies, partition and offset;
    none where it has none, or not yet. passed: whether the workers have read on beyond a record that states
    no facts; none where it states some, or nobody knows.
    """

    found: Found
    event: Event
    outcome: type_of_outcome
    counts: Counts | None = None
    dead_letter: tuple[int, int] | None = None
    passed: bool | None = None
    unknown: PostponedError | None = None


class Tracer:
    """Follows records of the events topic. To be used in `with`."""

    def __init__(self, settings: AggregatorSettings, *, quick: bool) -> None:
        """Connect to Kafka, and read the erasures.

        settings: with the rules. quick: whether the other records of a mail are not looked for.
        Raises: KafkaUnavailableError; OtherLogError where the topic of erasures cannot be understood.
        """
        self._settings = settings
        self._quick = quick
        self._rules: Final = settings.rules
        with closing(ErasureTopic(settings)) as topic:
            self._erasures = topic.read()
        self._decoder = Decoder(self._rules, self._erasures)
        self._events = EventDecoder(self._rules.tags)
        self._log = Cluster(settings).log()
        self._bulk = BulkReader(settings)
        self.find: Final = Finder(self._bulk, self._log.partitions)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bulk.close()

    def trace(self, found: Found, now_ms: int) -> Trace:
        """What became of a record. now_ms: the time, in ms since 1970.

        Raises: KafkaUnavailableError; ValueError where a counter in Redis is damaged.
        """
        outcome, event = outcome_of(self._decoder, found.record), self._event(found.record.value)
        dead_letter = None
        try:
            if isinstance(outcome, Refusal):
                dead_letter = self._dead_letter(found)
            with closing(Keyspace(self._settings)) as keys:
                record = keys.registry.read().record
                live = validate(record.live, self._rules, self._log)
                if isinstance(outcome, Facts):
                    member = record.named(live.name)
                    start = member.start.get(found.partition, 0) if member is not None else 0
                    counts = self._counts(keys, live, found, outcome, start=start, now_ms=now_ms)
                    return Trace(found, event, outcome, counts)
                read = max(keys.checkpoints(live, lane).get(found.partition, 0) for lane in range(live.lanes))
        except PostponedError as error:
            return Trace(found, event, outcome, dead_letter=dead_letter, unknown=error)
        return Trace(found, event, outcome, dead_letter=dead_letter, passed=found.record.offset < read)

    def _event(self, value: bytes | None) -> Event:
        event = self._events.decode(value)
        if event is None:
            return Event()
        event_type = event.event_type if isinstance(event.event_type, str) else event.notification_type
        row = EVENT_TYPES.get(event_type) if isinstance(event_type, str) else None
        body = getattr(event, row.body) if row is not None and row.body is not None else None
        said = (
            event_type,
            getattr(event.mail, "message_id", None),
            getattr(event.mail, "timestamp", None),
            getattr(body, "timestamp", None),
        )
        return Event(*(each if isinstance(each, str) else None for each in said))

    def _dead_letter(self, found: Found) -> tuple[int, int] | None:
        topic = self._settings.dead_letter_topic
        partitions = len(DeadLetterTopic(self._settings).extent())
        key = dead_letter_key(self._settings.events_topic, found.partition, found.record.offset)
        with BulkReader(self._settings, topic) as bulk:
            finder = Finder(bulk, partitions)
            dead_letter = finder.by_key(key, found.record.timestamp)
            self.find.records += finder.records
        return None if dead_letter is None else (dead_letter.partition, dead_letter.record.offset)

    def _counts(
        self, keys: Keyspace, live: Generation, found: Found, facts: Facts, *, start: int, now_ms: int
    ) -> Counts:
        """What Redis says of facts. start: from where the partition was counted."""
        tenant, number = facts.scopes.tenant, lane_of(facts.scopes.tenant, live.lanes)
        block = (facts.day + facts.quarter // QUARTERS) // BLOCK_DAYS
        snapshot = keys.snapshot_of(live, number, safe_id(tenant), first=block, last=block)
        # An erasure that comes after this leaves the states that are looked up where they are.
        self._erasures.check(snapshot.erased, number, live.lanes)
        stored = stored_cells(tenant, live.scopes, snapshot.held[0].blocks)
        groups = sorted({group_of(kind) for kind in facts.kinds})
        wanted = {(facts.message_id, person, group): 0 for person in facts.recipients for group in groups}
        identities = Identities(live.identity_key, self._erasures).of(facts.scopes, wanted)
        entries = [
            Entry(HORIZONS[HORIZON_OF[group]].name, facts.day, entry_id, bucket_hash)
            for (_, _, group), (entry_id, bucket_hash) in zip(wanted, identities, strict=True)
        ]
        checkpoints, states = keys.states(live, number, entries)
        held = {(person, group): state for (_, person, group), state in zip(wanted, states, strict=True)}
        lane = Lane(checkpoints.get(found.partition, 0), start)
        told = defaultdict[tuple[int, bytes | None], list[Told]](list)
        for offset, other in self._of_the_mail(found, facts, lane.checkpoint):
            for kind in other.kinds:
                for person in other.recipients:
                    told[kind, person].append(Told(offset, other.quarter))

        def standing(kind: int, person: bytes | None) -> FactStanding:
            state = held[person, group_of(kind)]
            quarter = None if state is None else quarter_of(kind, state)
            mine = Told(found.record.offset, facts.quarter)
            kept = now_ms < _kept_until_ms(facts.day, kind)
            return FactStanding(kind, person, standing_of(mine, told[kind, person], quarter, lane, kept=kept))

        cells = counted_cells(live.scopes, facts.scopes, facts.day, facts.quarter, facts.kinds)
        return Counts(
            live.name,
            number,
            lane.checkpoint,
            [standing(kind, person) for person in facts.recipients for kind in facts.kinds],
            [(cell, stored[cell]) for cell in cells],
        )

    def _of_the_mail(self, found: Found, facts: Facts, end: int) -> list[tuple[int, Facts]]:
        """The other records of the mail below an offset that state facts: where, and which."""
        if self._quick:
            return []
        chosen = []
        for other in self.find.of_mail(found, facts.day * DAY_MS - FUTURE_MS, end):
            outcome = outcome_of(self._decoder, other.record)
            if isinstance(outcome, Facts) and _mail(outcome) == _mail(facts):
                chosen.append((other.record.offset, outcome))
        return chosen


def _mail(facts: Facts) -> tuple[object, ...]:
    """What facts of one mail have in common."""
    return facts.scopes, facts.day, facts.message_id


def _kept_until_ms(day: int, kind: int) -> int:
    """Until when Redis remembers facts of a kind, at least, of mails that were sent on a day."""
    return (day + 1) * DAY_MS + KINDS[kind].horizon.stale_ms + REMEMBERED_MS
