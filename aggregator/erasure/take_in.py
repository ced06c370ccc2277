"""A lane takes in the erasure of a tenant: what is counted of its past goes, and never comes back.

The rule. A lane carries the number of the last erasure of its tenants that it has taken in (`Standing`), in
the hash that holds its checkpoints. Each call that counts names the number that its caller knows of this
lane; the script does nothing unless they are equal (`ERASED`). So what is counted was decoded, and given its
identities, by just the erasures that the lane has taken in.

A lane goes from one number to a later one like this, whoever sees that it has to: a worker or a rebuild with
each reading of the checkpoints, the command `erase` at once.
1. It is closed to counting: a word is put behind its number, one that was never used. Nobody names that, so
   from then on its checkpoints stand. Where it has such a word already, somebody else has done this.
2. Number, word and checkpoints are read in one step. Of the tenants that were erased since the lane's number,
   the log below those checkpoints is read again from the first record that is later than the erasure: in the
   seconds between an erasure and this, events may have been counted that are not erased.
3. One call of `apply.lua`, which names the number and the word, removes all counters and known ids of these
   tenants, counts what step 2 has found and puts the new number in place, without the word: the lane is open.

Why it is exact. Say that a lane is right where it holds, of its tenants, what the law makes of the events
below its checkpoints by the erasures up to its number. A call that counts leaves a right lane right, as both
sides use the same erasures. Step 1 changes neither counters nor checkpoints. Step 3 leaves it right:
- Of tenants without a newer erasure the law says the same by both numbers, and nothing of them is touched.
- Of the others the lane holds nothing after the removal, and then all facts that the law makes of their
  records below the checkpoints: a record that is not later than the erasure states nothing, all others were
  read in step 2. They count as new, and nothing else does: their identities are made with the number of the
  tenant's last erasure, which is greater than all that the lane ever stood at, so no state of them is there.
- The checkpoints are those of step 2: the word is the same only as long as the lane was not opened.
Killed between the steps, it is done from the start by whoever comes next: all that is left is a closed lane.
Two at once make the same call, and the second finds another number. A Redis that goes back in time gives a
lane its number, word, checkpoints and counters of one moment back, so it is right as it was then; whoever
knows more takes the erasure in once more, and who knew less then is refused in any case where it is not so.

The limit. What the log no longer holds cannot be read in step 2. The archive lets go only of what is at least
a day old, so nothing that is later than an erasure of the last day is gone. Where a lane takes in an older
one, which takes a Redis that is restored from a backup, and the log has lost its beginning, it is not done:
that takes `rebuild`.
"""

import secrets
import time
from collections.abc import Mapping
from contextlib import closing
from typing import Final

import structlog

from aggregator.config import AggregatorSettings
from aggregator.counters.store import Erasing, LaneHeld, Store
from aggregator.counting.decode import Decoder
from aggregator.counting.facts import Facts
from aggregator.counting.pack import pack, pack_moves
from aggregator.counting.reading import outcome_of
from aggregator.counting.rules import Erasures
from aggregator.counting.states import Identities
from aggregator.errors import ErasedError, GoneError, KafkaUnavailableError, OtherLogError
from aggregator.log.bulk_reader import BulkReader
from aggregator.log.erasures import ErasureTopic
from schemas.counters import Generation
from schemas.instants import DAY_MS
from schemas.redis_keys import safe_id

log = structlog.get_logger(__name__)

TRIES: Final = 20
"""Of one lane: others take in the same, and each of several erasures is one more."""


class Eraser:
    """Knows the erasures, and has lanes take them in. Blocking; for one thread."""

    def __init__(self, settings: AggregatorSettings, store: Store) -> None:
        """Prepare.

        settings: where Kafka is, and the rules of the generations that are given here. store: of them.
        """
        self._settings = settings
        self._store = store
        self._topic = ErasureTopic(settings)

    def read(self) -> Erasures:
        """As `ErasureTopic.read`."""
        return self._topic.read()

    def close(self) -> None:
        """Drop the connection to Kafka."""
        self._topic.close()

    def checkpoints(self, generation: Generation) -> tuple[Erasures, list[dict[int, int]]]:
        """The erasures that there are, and the checkpoints of a generation that has taken them in.

        Raises: as `take_in`, ClosedError.
        """
        for _ in range(TRIES):
            erasures = self.read()
            try:
                return erasures, self._store.checkpoints(generation, erasures)
            except ErasedError:
                self.take_in(generation, erasures)
        raise ErasedError(f"generation {generation.name} is of other erasures each time that it is looked at")

    def take_in(self, generation: Generation, erasures: Erasures, *, recount: bool = True) -> None:
        """Have all lanes of a generation take in erasures.

        recount: whether to count again what is not erased. Not in a generation that is retired: nobody counts
        into it again, and of its lanes some may be gone.
        Raises: OtherLogError where the log no longer has what would be counted again; ErasedError where a
        lane has taken in more than is known here; GoneError, StoreUnavailableError, KafkaUnavailableError.
        """
        for lane in range(generation.lanes):
            try:
                self._lane(generation, lane, erasures, recount=recount)
            except GoneError:
                if recount:
                    raise

    def _lane(self, generation: Generation, lane: int, erasures: Erasures, *, recount: bool) -> None:
        wanted = erasures.of_lane(lane, generation.lanes)
        for _ in range(TRIES):
            held = self._store.lane(generation, lane)
            if held.standing.erased == wanted:
                return
            if held.standing.erased > wanted:
                raise ErasedError(f"lane {lane} has taken in erasures that are not in the topic (yet)")
            if held.standing.word:
                self._open(generation, lane, held, erasures, recount=recount)
            else:
                self._store.close_for_erasing(generation, lane, held.standing, secrets.token_hex(8))
        raise ErasedError(f"lane {lane} of generation {generation.name} takes in no erasure")

    def _open(
        self, generation: Generation, lane: int, held: LaneHeld, erasures: Erasures, *, recount: bool
    ) -> None:
        """Steps 2 and 3 for a lane that is closed; nothing where somebody else was faster."""
        tenants = erasures.since(held.standing.erased, lane, generation.lanes)
        facts = self._later_facts(generation, tenants, held.checkpoints, erasures) if recount else []
        identities = Identities(generation.identity_key, erasures)
        wanted = erasures.of_lane(lane, generation.lanes)
        done = self._store.erase(
            generation,
            Erasing(
                lane,
                held.standing,
                held.standing._replace(erased=wanted, word=""),
                [safe_id(tenant) for tenant in tenants],
                pack([], facts, identities)[0] if facts else pack_moves([]),
            ),
        )
        if done and any(held.checkpoints.values()):
            log.info(
                "what was counted of erased tenants is removed",
                generation=generation.name,
                lane=lane,
                tenants=len(tenants),
                later_events=len(facts),
            )

    def _later_facts(
        self, generation: Generation, tenants: list[str], checkpoints: Mapping[int, int], erasures: Erasures
    ) -> list[Facts]:
        """What the records of tenants below checkpoints state that are later than their erasures."""
        if not any(checkpoints.values()):
            return []
        member = self._store.record().named(generation.name)
        counted_from = member.start if member is not None else {}
        since_ms = min(erasures.table[tenant].through_ms for tenant in tenants) + 1
        partitions = max(checkpoints) + 1
        decoder, found = Decoder(self._settings.rules, erasures), []
        with closing(BulkReader(self._settings)) as bulk:
            ranges = bulk.ranges(partitions)
            old = since_ms < time.time_ns() // 1_000_000 - DAY_MS
            for number, checkpoint in checkpoints.items():
                start, end = ranges[number]
                if checkpoint > end:
                    raise KafkaUnavailableError(f"partition {number} ends at {end}, below {checkpoint}")
                if start and old and checkpoint > counted_from.get(number, 0):
                    raise OtherLogError(
                        f"partition {number} begins at {start}, and counters that are older than the erasure"
                        " of a tenant were brought back: run `python -m aggregator rebuild`"
                    )
            since = bulk.offsets_since(partitions, since_ms)
            of_these = set(tenants)
            begin = {number: max(since[number], counted_from.get(number, 0)) for number in checkpoints}
            for _, rows in bulk.until(begin, checkpoints):
                for row in rows:
                    facts = outcome_of(decoder, row)
                    if type(facts) is Facts and facts.scopes.tenant in of_these:
                        found.append(facts)
        return found
