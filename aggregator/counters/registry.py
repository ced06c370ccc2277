"""The record of the generations in Redis, and the lanes that a switch closes.

There is one record in one hash slot, and one script writes it (`record.lua`): only where it is what the
writer has read, and where the lease is as the writer says. Which state may follow which is in `lifecycle`,
how a lane is closed and opened in `lanes`.

**A switch from A to B** takes three steps, and may die after each of them:
1. The record says that B is `closing`, and in which attempt: the token of the rebuild's lease. The lanes of
   A are closed with it, one after the other (`lane.lua`), and B is counted up to where they stopped.
2. The record says that B is live and A retired. This alone decides.
3. The successor is written into the lanes of A.

**Taken back.** Where a live lane is closed and no switch is under way, somebody died or was refused between
1 and 2. Whoever finds that (a worker, the next rebuild, or the one that failed) takes it back: the record
says that B is `comparing` again, which the script allows only while the attempt does not hold the lease, then
the lanes are opened and bar the attempt. That is exact: a closed lane holds what its checkpoints say, opened
or not, so workers go on at them as after any other resync. And it is final: step 2 needs the lease and a
record that still says `closing` in that attempt, both looked at in the step that writes. Of a take-back and a
switch only one comes through. A rebuild that slept through all this can still close lanes, each of which
refuses unless it was not yet opened; a lane that was closed so stops counting, which a worker finds at once,
and it is opened once more.

**A lost switch.** After an accident Redis may have lost step 2 and kept steps 1 and 3, which lie in other
slots or were saved by another shard: the record says that A is live, and A's lanes name a successor. They
are read before the record, so that this is no switch in its course. Then nothing is opened, as B may have
counted on since: that is said (`SwitchLostError`), and `restore` makes the switch again. Where step 3 was
lost too, it is a switch that died between 1 and 2, and A counts on: exact as well.
"""

from collections.abc import Callable
from contextlib import suppress
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec
import structlog

from aggregator.counters import lifecycle
from aggregator.counters.connection import Client, decoded, translated
from aggregator.counters.lanes import Closed, Lanes
from aggregator.errors import (
    ClosedError,
    GoneError,
    RefusedError,
    StoreUnavailableError,
    SwitchLostError,
)
from schemas.counters import Generation, Record, State
from schemas.redis_keys import FORMER_KEY, FORMER_KEYS, LEASE_KEY, RECORD_KEY

log = structlog.get_logger(__name__)

TRIES: Final = 20
"""Changes of the record are rare: whoever is overtaken so often meets a defect."""

RECORD_SCRIPT: Final = files("aggregator.counters").joinpath("record.lua").read_text()
_NOW: Final = "return redis.call('TIME')"


class Held(NamedTuple):
    """The record at one instant.

    raw: the bytes that it stands in, none where there is none. lease: who holds it, none where nobody does.
    """

    record: Record
    raw: bytes | None
    lease: str | None


class Registry:
    """Reads and changes the record, undoes and repeats switches.

    Every method raises StoreUnavailableError.
    """

    def __init__(self, client: Client) -> None:
        """client: connected to the Redis of the counters."""
        self._client = client
        self.lanes: Final = Lanes(client)
        """The lanes of the generations."""

    def read(self) -> Held:
        """The record and the lease, at one instant.

        Raises: StoreUnavailableError, also for a record that cannot be read: that is not taken for none.
        """
        with translated():
            found: Any = self._client.mget(RECORD_KEY, LEASE_KEY)
        raw, lease = found
        return Held(
            Record(()) if raw is None else decoded(raw, Record), raw, lease.decode() if lease else None
        )

    def change(self, step: Callable[[Record], Record], *, token: str = "", unheld: str = "") -> Record:
        """Put what follows the record in its place.

        step: gives that, and is called again where somebody else was faster. token: who must hold the
        lease; unheld: who must not.
        Returns: the record as it is now.
        Raises: RefusedError, also where the lease is not as required; what `step` raises.
        """
        for _ in range(TRIES):
            held = self.read()
            wanted = step(held.record)
            arguments = (held.raw or b"", msgspec.json.encode(wanted), token, unheld)
            try:
                with translated():
                    answer: Any = self._client.eval(RECORD_SCRIPT, 2, RECORD_KEY, LEASE_KEY, *arguments)
            except StoreUnavailableError:
                if self.read().record != wanted:  # else only the answer was lost
                    raise
                return wanted
            if answer == b"OK":
                return wanted
            if answer == b"LEASE":
                raise RefusedError(
                    "the lease of this rebuild was lost" if token else "the rebuild holds its lease again"
                )
        raise RefusedError("others change the record of the generations all the time")

    def now_ms(self) -> int:
        """Redis's clock, in ms since 1970."""
        with translated():
            seconds, micros = self._client.eval(_NOW, 1, RECORD_KEY)
        return int(seconds) * 1000 + int(micros) // 1000

    def former(self) -> bool:
        """Whether a version before this record kept a generation here."""
        with translated():
            return bool(self._client.exists(FORMER_KEY))

    def forget_former(self) -> None:
        """Remove what such a version kept beside its lanes."""
        with translated():
            for key in FORMER_KEYS:
                self._client.unlink(key)

    def open_again(self, live: Generation) -> None:
        """Open the lanes of the live generation where they are closed and no switch is under way.

        Raises: ClosedError while one is; SwitchLostError where it was done and Redis lost that; GoneError
        where the generation is not the live one any more, or not there.
        """
        for _ in range(TRIES):
            lanes = self.lanes.closed(live)
            held = self.read()  # after the lanes: see above
            if held.record.live != live:
                raise GoneError(f"generation {live.name} was replaced")
            if (successor := _successor(lanes)) is not None:
                raise SwitchLostError(
                    f"Redis lost a switch: its record says that generation {live.name} is live, and that"
                    f" was replaced by {successor.name}: run `python -m aggregator generations restore`, or"
                    " `rebuild`"
                )
            attempts = {each.attempt for each in lanes if each.attempt is not None}
            making = held.record.next
            if making is not None and making.state is State.CLOSING:
                if held.lease == making.attempt:
                    raise ClosedError(f"a rebuild is switching to generation {making.generation.name}")
                try:
                    self.take_back(making.attempt, unheld=making.attempt)
                except RefusedError:
                    continue
                attempts.add(making.closes_as)
            for attempt in attempts:
                self.lanes.open(live, attempt)
            return
        raise ClosedError(f"generation {live.name} is closed, and its record changes all the time")

    def take_back(self, attempt: str, *, token: str = "", unheld: str = "") -> None:
        """The record no longer says that an attempt closes lanes. Arguments, errors: as `change`."""
        self.change(lambda record: lifecycle.taken_back(record, attempt), token=token, unheld=unheld)

    def take_back_of_dead(self, token: str) -> None:
        """Undo what an earlier rebuild left half way, between closing lanes and switching.

        token: holds the lease, so that one is dead, or a zombie. Raises: RefusedError where it is lost.
        """
        making = self.read().record.next
        if making is not None and making.state is State.CLOSING:
            log.warning("a rebuild closed lanes and did not switch", generation=making.generation.name)
            self.take_back(making.attempt, token=token)
        live = self.read().record.live
        if live is not None:
            with suppress(GoneError, SwitchLostError):  # whoever goes on meets them
                self.open_again(live)

    def restore(self) -> tuple[Generation, Generation]:
        """Make a switch again that Redis lost.

        Returns: the generation that the record named, and the one that is live now.
        Raises: RefusedError where none was lost, GoneError.
        """
        before = self.read().record.live
        if before is None:
            raise RefusedError("Redis holds no live generation, so none that was replaced: run `rebuild`")
        after, passed = before, {before.name}
        while successor := _successor(self.lanes.closed(after)):
            if successor.name in passed:
                raise RefusedError(f"generations {sorted(passed)} name each other as successors")
            after = successor
            passed.add(after.name)
        if after == before:
            raise RefusedError(f"generation {before.name} is live and was not replaced")

        def step(record: Record) -> Record:
            if record.live != before:
                raise RefusedError("another generation has gone live meanwhile")
            return lifecycle.restored(record, after)

        self.change(step)
        return before, after


def _successor(lanes: list[Closed]) -> Generation | None:
    """To which generation the switch was done, as far as any lane says."""
    return next((each.successor for each in lanes if each.successor is not None), None)
