"""`rebuild --join`: one more command that counts for a rebuild which another one leads, on any host.

All that it has to know stands in the record of the generations and in the lease: which generation, from where
and up to where, and who leads, so in which consumer group the partitions are handed out (`aggregator.bulk`).
It counts until everything is counted, then waits for the switch. Where the leader is gone meanwhile (nobody
holds the lease), one of those who have joined takes the lease and leads on: the same steps under the same
rules as if the rebuild were run again. So of any number of commands, each may die, and one of them switches.
"""

import time
from contextlib import closing
from dataclasses import dataclass
from typing import Final

from aggregator.bulk.member import Work
from aggregator.bulk.together import count_together, group_of
from aggregator.config import AggregatorSettings
from aggregator.counters.keyspace import Keyspace
from aggregator.counters.lease import LEASE_S
from aggregator.counters.registry import Held
from aggregator.counters.throttle import ALONE, THROTTLED, Pace, lower_priority
from aggregator.errors import GoneError, RefusedError
from aggregator.rebuild.plan import Planner
from aggregator.rebuild.rebuild import Rebuild
from aggregator.rebuild.report import Progress, Report
from schemas.counters import Generation, Member, State

LOOK_S: Final = 0.5
"""So often it is looked whether the rebuild is still what it was."""


class CannotJoinError(RefusedError):
    """There is no rebuild to join, or not with these settings."""


@dataclass(slots=True)
class Joined:
    """What became of the rebuild that was joined.

    generation: the name of the one that was made, live by now. without_dead_letter: as in `Report`, of what
    was counted here. led: what it did, where this command has led it on.
    """

    generation: str
    without_dead_letter: int = 0
    led: Report | None = None


class Join:
    """One command that joins."""

    def __init__(self, settings: AggregatorSettings, *, processes: int, progress: Progress) -> None:
        """Prepare. Arguments: as of `Rebuild`."""
        self._settings = settings
        self._processes = processes
        self._progress = progress
        self._pace: Pace | None = None

    def run(self) -> Joined:
        """Count for the rebuild that runs, until it has switched.

        Raises: CannotJoinError, RefusedError where it was given up or cannot be led on; PostponedError of any
        kind: run it again then.
        """
        with closing(Keyspace(self._settings)) as keys:
            held = keys.registry.read()
            making = held.record.next
            if making is None or held.lease is None:
                raise CannotJoinError("no rebuild is running: begin one, or go on with one, by `rebuild`")
            self._validate(making.generation, keys)
            self._progress.say(f"joined the rebuild that makes generation {making.generation.name}")
            joined = Joined(making.generation.name)
            while (making := _making(held, joined.generation)) is not None:
                if held.lease is None:
                    joined.led = self._lead_on(keys, making)
                elif making.state is State.BUILDING:
                    joined.without_dead_letter += self._count(keys, held, making)
                else:
                    self._progress("waiting for the switch", 0, 0)
                time.sleep(LOOK_S)
                held = keys.registry.read()
            return joined

    def _validate(self, made: Generation, keys: Keyspace) -> None:
        """Raises: CannotJoinError, PostponedError of any kind."""
        log = Planner(self._settings, keys, None).log()
        if not made.is_readable:
            raise CannotJoinError("the rebuild is of another version: join with the version that it has")
        if made.rules != self._settings.rules.fingerprint:
            raise CannotJoinError(
                f"the rebuild counts by rules {made.rules}, these settings make"
                f" {self._settings.rules.fingerprint}: join with the settings that it has (tags, scopes,"
                " DEFAULT_TENANT, RECIPIENT_KEY)"
            )
        if (made.cluster_id, made.topic_id) != log[:2]:
            raise CannotJoinError(
                f"the rebuild counts another topic (id {made.topic_id} of cluster {made.cluster_id}, here"
                f" {log.topic_id} of {log.cluster_id}): join with the KAFKA_* and EVENTS_TOPIC that it has"
            )

    def _count(self, keys: Keyspace, held: Held, making: Member) -> int:
        """Count until all is counted, or until the rebuild is another. Returns: as `count_together`."""
        planner = Planner(self._settings, keys, None)
        live = planner.live()
        followed = None if live is None or planner.unfollowable(live, planner.log()) else live
        if self._pace is None:
            self._pace = ALONE
            if live is not None:
                self._pace = THROTTLED
                lower_priority()  # before the counting processes start: they inherit it
        _wait_for_lanes(keys, making.generation)
        start = {number: making.start.get(number, 0) for number in making.stop}
        total = sum(making.stop[number] - start[number] for number in start)
        again = 0.0

        def watch(done: int) -> bool:
            nonlocal again
            self._progress("counting", done, total)
            if time.monotonic() < again:
                return True
            again = time.monotonic() + LOOK_S
            now = keys.registry.read()
            return (now.lease, now.record.next) == (held.lease, making)

        group = group_of(self._settings, making.generation, held.lease or "")
        work = Work(making.generation, making.stop, planner.dead_lettered(followed), self._pace, group)
        return count_together(self._settings, work, start=start, processes=self._processes, watch=watch)

    def _lead_on(self, keys: Keyspace, making: Member) -> Report | None:
        """Lead where nobody does. Returns: what was done; none where another one leads by now."""
        lease = keys.lease()
        if not lease.take(0):
            return None
        self._progress.say("whoever led the rebuild is gone: leading on")
        with lease:
            rebuild = Rebuild(
                self._settings,
                lanes=making.generation.lanes,
                processes=self._processes,
                progress=self._progress,
            )
            return rebuild.lead_on(making, lease)


def _making(held: Held, name: str) -> Member | None:
    """The generation while it is being made; none where it is live, or has been.

    Raises: RefusedError where it was given up.
    """
    member = held.record.named(name)
    if member is None or member.state is State.DROPPING:
        raise RefusedError(
            f"generation {name} was given up, and no longer is made: look at `generations list`"
        )
    return None if member.state in {State.LIVE, State.RETIRED} else member


def _wait_for_lanes(keys: Keyspace, generation: Generation) -> None:
    """They are made just after the generation has come into the record. Raises: GoneError."""
    deadline = time.monotonic() + LEASE_S
    while True:
        try:
            keys.registry.lanes.closed(generation)
        except GoneError:
            if time.monotonic() > deadline:
                raise
            time.sleep(LOOK_S)
        else:
            return
