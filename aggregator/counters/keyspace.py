"""Redis, as the operators' commands use it: whole generations, read and dropped.

Scripts read (`snapshot.lua`, `states.lua`), so that what is counted and the checkpoints that say which events
that is are of one instant.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from itertools import islice
from typing import Any, Final, NamedTuple

from aggregator.counters.connection import connect, infos, memory, translated
from aggregator.counters.lanes import gone, standing_of
from aggregator.counters.lease import Lease
from aggregator.counters.registry import Registry
from aggregator.counters.snapshots import pieces
from aggregator.counters.snapshots.answer import SNAPSHOT, Snapshot, numbers_from, snapshot_from
from schemas.counters import Generation
from schemas.redis_keys import ALL_BLOCKS, block_of_member, generation_of, known_key, lane_key
from schemas.shared.settings import RedisSettings

KEYS_A_CALL: Final = 500
_STATES: Final = files("aggregator.counters").joinpath("states.lua").read_text()


class Entry(NamedTuple):
    """Where the state of a message or recipient stands in a lane (`counting.states`).

    horizon: its name. day: of the send, since 1970. id, bucket_hash: as `Identities` makes them.
    """

    horizon: str
    day: int
    id: bytes
    bucket_hash: int


class Page(NamedTuple):
    """A part of what a lane holds, small enough to be read in one step.

    tenants: those that were read. first, last: the block to begin at in the first of them and to end with in
    the last one, none for all: with these another generation is read likewise. whole: how many of them end
    here. snapshot: what was read.
    """

    tenants: Sequence[str]
    first: int | None
    last: int | None
    whole: int
    snapshot: Snapshot


class Keyspace:
    """Whole generations in Redis. Every method but `close` and `lease` raises StoreUnavailableError."""

    def __init__(self, settings: RedisSettings) -> None:
        """Connect.

        settings: where Redis is.
        Raises: StoreUnavailableError for a cluster that cannot be reached.
        """
        self._client = connect(settings)
        self.registry: Final = Registry(self._client)
        """The record of the generations."""

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def lease(self) -> Lease:
        """The lease of a rebuild, not taken yet."""
        return Lease(self._client)

    def checkpoints(self, generation: Generation, lane: int) -> dict[int, int]:
        """The checkpoints of a lane, retired or not: offsets by partition. Raises: GoneError."""
        return numbers_from(self._ask(generation, lane)[0], b"f")

    def completes(self, generation: Generation, lane: int) -> dict[int, int]:
        """Up to when each partition of a lane, retired or not, is complete: ms since 1970, by partition.

        Raises: GoneError.
        """
        return numbers_from(self._ask(generation, lane)[0], b"c")

    def tenants(self, generation: Generation, lane: int) -> list[str]:
        """The tenants of a lane that have counters, as they stand in keys. Raises: GoneError."""
        return [each.decode() for each in self._ask(generation, lane)[1]]

    def erased(self, generation: Generation, lane: int) -> int:
        """The number of the last erasure that a lane has taken in. Raises: GoneError."""
        return standing_of(self._ask(generation, lane)[0][-1]).erased

    def blocks(self, generation: Generation, lane: int, tenant: str) -> list[int]:
        """The blocks of days that have counters of a tenant. tenant: as it stands in keys."""
        with translated():
            key = known_key(lane_key(generation.name, lane), tenant)
            members: Any = self._client.zrangebylex(key, *ALL_BLOCKS)
        return [block_of_member(member) for member in members]

    def snapshot(
        self,
        generation: Generation,
        lane: int,
        tenants: Sequence[str],
        *,
        first: int | None = None,
        last: int | None = None,
        packed_counters: int | None = None,
    ) -> Snapshot:
        """Counters of tenants and the checkpoints of their lane, read in one step.

        tenants: at least one, as they stand in keys. first: the block of days to begin at in the first
        tenant. last: the block to end with in the last one. packed_counters: how many to read at most; a
        block of more than that stops it before the first one.
        Raises: GoneError.
        """
        return snapshot_from(
            self._ask(generation, lane, tenants, first=first, last=last, packed_counters=packed_counters)
        )

    def snapshot_of(
        self,
        generation: Generation,
        lane: int,
        tenant: str,
        *,
        first: int | None = None,
        last: int | None = None,
    ) -> Snapshot:
        """As `snapshot` of one tenant, in many calls where it has more than one should read.

        Raises: GoneError; StoreUnavailableError too where it has very much, which is written all the time.
        """
        few = pieces.AT_ONCE
        found = self.snapshot(generation, lane, [tenant], first=first, last=last, packed_counters=few)
        if found.stopped is None:
            return found
        wanted = pieces.Wanted(lane_key(generation.name, lane), generation.name, tenant, first, last)
        in_pieces = pieces.read_in_pieces(self._client, wanted)
        return in_pieces or self.snapshot(generation, lane, [tenant], first=first, last=last)

    def states(
        self, generation: Generation, lane: int, entries: Iterable[Entry]
    ) -> tuple[dict[int, int], list[int | None]]:
        """What a lane remembers of messages and recipients, and its checkpoints, read in one step.

        Returns: the checkpoints, and of each entry its state, none where there is none (any more).
        Raises: GoneError.
        """
        arguments = [part for entry in entries for part in entry]
        with translated():
            answer: Any = self._client.eval_ro(
                _STATES, 1, lane_key(generation.name, lane), generation.name, *arguments
            )
        if answer is None:
            raise gone(generation, lane)
        checkpoints, states = answer
        return numbers_from(checkpoints, b"f"), [None if state is None else int(state) for state in states]

    def pages(
        self,
        generation: Generation,
        lane: int,
        tenants: Sequence[str],
        *,
        tenants_a_page: int,
        packed_counters_a_page: int,
        resting: Callable[[], AbstractContextManager[None]],
    ) -> Iterator[Page]:
        """All that a lane holds of tenants, of each page as it is when it is asked for.

        tenants: as they stand in keys. tenants_a_page, packed_counters_a_page: how many at most; a block of
        more counters than that is a page alone.
        resting: gives what is entered for each read, as `Pace.resting`.
        Raises: GoneError.
        """
        done, first = 0, None
        while done < len(tenants):
            wanted = tenants[done : done + tenants_a_page]
            with resting():
                snapshot = self.snapshot(
                    generation, lane, wanted, first=first, packed_counters=packed_counters_a_page
                )
                found, stopped = wanted[: len(snapshot.held)], snapshot.stopped
                if stopped is not None and len(found) == 1 and not snapshot.held[0].blocks:
                    snapshot = self.snapshot(generation, lane, found, first=first, last=stopped)
                    stopped += 1  # a block that is more than a page is one
            if stopped is None:
                yield Page(found, first, None, len(found), snapshot)
                done += len(found)
            else:
                yield Page(found, first, stopped - 1, len(found) - 1, snapshot)
                done += len(found) - 1
            first = stopped

    def memory(self) -> list[tuple[int, int]]:
        """For each node: bytes used, and the limit (0 for none)."""
        with translated():
            return [memory(info) for info in infos(self._client, "memory").values()]

    def sizes(self) -> dict[str, int]:
        """How many keys each generation has, those that no record knows too: one pass over all keys."""
        found: Counter[str] = Counter()
        with translated():
            for key in self._client.scan_iter(count=1000):
                if (name := generation_of(key)) is not None:
                    found[name] += 1
        return dict(found)

    def drop(self, names: Collection[str], *, after_s: int = 0) -> int:
        """Remove all keys of generations, at once or after a time: one pass over all keys, in bounded calls.

        Returns: how many keys.
        """
        number = 0
        with translated():
            begun = self._client.scan_iter(match="{*", count=1000)
            keys = (key for key in begun if generation_of(key) in names)
            for group in _groups(keys):
                number += len(group)
                pipeline = self._client.pipeline(transaction=False)
                for key in group:
                    if after_s:
                        pipeline.expire(key, after_s)
                    else:
                        pipeline.unlink(key)
                pipeline.execute()
        return number

    def _ask(
        self,
        generation: Generation,
        lane: int,
        tenants: Sequence[str] = (),
        *,
        first: int | None = None,
        last: int | None = None,
        packed_counters: int | None = None,
    ) -> Any:
        bounds = ["" if bound is None else bound for bound in (packed_counters, first, last)]
        with translated():
            answer = self._client.eval_ro(
                SNAPSHOT, 1, lane_key(generation.name, lane), generation.name, *bounds, *tenants
            )
        if answer is None:
            raise gone(generation, lane)
        return answer


def _groups(keys: Iterable[bytes]) -> Iterator[list[bytes]]:
    left = iter(keys)
    while group := list(islice(left, KEYS_A_CALL)):
        yield group
