"""Redis, as the operators' commands use it: whole generations, made, compared, switched and dropped.

One rebuild at a time: a lease that its owner renews, and that a killed one loses within seconds. The
generation that is being built has a record of its own, so that the next run goes on with it.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec

from aggregator.errors import GoneError
from aggregator.store import connect, decoded, infos, make_lanes, translated
from schemas.counters import GENERATION_KEY, Generation, lane_key
from schemas.settings import RedisSettings

REBUILD_KEY: Final = "ses-metrics:rebuild"
LEASE_KEY: Final = "ses-metrics:rebuild:lease"
LEASE_MS: Final = 10_000
_SNAPSHOT: Final = files("aggregator").joinpath("snapshot.lua").read_text()


class Building(Generation, frozen=True, kw_only=True):
    """The record of a generation that is being built.

    start: the fences that it began with, where it does not begin at the start of the log: what was begun
    as partial counters must not be finished as whole ones.
    """

    start: dict[int, int]


class Held(NamedTuple):
    """What a lane holds of one tenant.

    days: for each day since 1970 its bags by scope. known: `sequence` and `template` with their known ids,
    which are told with the last day.
    """

    days: list[tuple[int, dict[bytes, bytes]]]
    known: dict[str, list[bytes]]


class Snapshot(NamedTuple):
    """What a lane holds of some tenants, and the fences up to which it does.

    held: of each tenant asked for, in their order, up to where a limit was reached. stopped: the day of the
    last of these at which to go on; none where all was read.
    """

    fences: dict[int, int]
    held: list[Held]
    stopped: int | None


class Page(NamedTuple):
    """A part of what a lane holds, small enough to be read in one step.

    tenants: those told. first, last: the day to begin at in the first of them and to end with in the last
    one, none for all: with these another generation is read likewise. whole: how many of them end here.
    """

    tenants: Sequence[str]
    first: int | None
    last: int | None
    whole: int
    snapshot: Snapshot


class Keyspace:
    """Whole generations in Redis. Every method raises StoreUnavailableError."""

    def __init__(self, settings: RedisSettings) -> None:
        """Connect.

        settings: where Redis is.
        """
        self._client = connect(settings)

    def close(self) -> None:
        """Drop the connection."""
        self._client.close()

    def take_lease(self, owner: str) -> bool:
        """Become the one rebuild, or stay it. Returns: whether `owner` is it now."""
        with translated():
            if self._client.set(LEASE_KEY, owner, nx=True, px=LEASE_MS):
                return True
            if self._client.get(LEASE_KEY) != owner.encode():
                return False
            return bool(self._client.pexpire(LEASE_KEY, LEASE_MS))

    def give_lease_up(self) -> None:
        """Let the next rebuild begin at once."""
        with translated():
            self._client.delete(LEASE_KEY)

    def building(self) -> Building | None:
        """The generation that a rebuild has begun and not switched to."""
        with translated():
            record: Any = self._client.get(REBUILD_KEY)
        return decoded(record, Building)

    def begin(self, generation: Generation, start: Mapping[int, int]) -> None:
        """Begin a generation, or go on with it.

        start: its fences where it does not begin at the start of the log.
        """
        building = Building(**msgspec.structs.asdict(generation), start=dict(start))
        with translated():
            self._client.set(REBUILD_KEY, msgspec.json.encode(building))
            make_lanes(self._client, generation, start)

    def retire(self, generation: Generation) -> None:
        """From now on nothing is counted into it; it can still be read."""
        with translated():
            for lane in range(generation.lanes):
                self._client.hset(lane_key(generation.name, lane), "retired", 1)

    def switch(self, generation: Generation) -> None:
        """Make a generation the live one. This one key decides what workers and the API use."""
        with translated():
            self._client.set(GENERATION_KEY, msgspec.json.encode(generation))
            self._client.delete(REBUILD_KEY)

    def fences(self, generation: Generation, lane: int) -> dict[int, int]:
        """The fences of a lane, retired or not. Raises: GoneError."""
        return _numbers(self._ask(generation, lane)[0], b"f")

    def completes(self, generation: Generation, lane: int) -> dict[int, int]:
        """Up to when the partitions of a lane, retired or not, are complete, in ms. Raises: GoneError."""
        return _numbers(self._ask(generation, lane)[0], b"c")

    def tenants(self, generation: Generation, lane: int) -> list[str]:
        """The tenants of a lane, as they stand in keys. Raises: GoneError."""
        return [each.decode() for each in self._ask(generation, lane)[1]]

    def days(self, generation: Generation, lane: int, tenant: str) -> list[int]:
        """The days since 1970 that have counters of a tenant. tenant: as it stands in keys."""
        with translated():
            days: Any = self._client.smembers(f"{lane_key(generation.name, lane)}:d:{tenant}")
        return sorted(int(day) for day in days)

    def snapshot(
        self,
        generation: Generation,
        lane: int,
        tenants: Sequence[str],
        *,
        first: int | None = None,
        last: int | None = None,
        bags: int | None = None,
    ) -> Snapshot:
        """Counters of tenants and the fences of their lane, read in one step.

        tenants: at least one, as they stand in keys. first: the day since 1970 to begin at in the first
        tenant. last: the day to end with in the last one. bags: about how many to read at most.
        Raises: GoneError.
        """
        numbers, held, stopped = self._ask(generation, lane, tenants, first=first, last=last, bags=bags)
        return Snapshot(
            _numbers(numbers, b"f"),
            [
                Held(
                    [(int(day), dict(zip(found[::2], found[1::2], strict=True))) for day, found in days],
                    {"sequence": sequences, "template": templates},
                )
                for days, sequences, templates in held
            ],
            stopped,
        )

    def pages(
        self,
        generation: Generation,
        lane: int,
        tenants: Sequence[str],
        *,
        tenants_a_page: int,
        bags_a_page: int,
        turn: Callable[[], AbstractContextManager[None]],
    ) -> Iterator[Page]:
        """All that a lane holds of tenants, of each page as it is when it is asked for.

        tenants: as they stand in keys. turn: entered for each read. Raises: GoneError.
        """
        done, first = 0, None
        while done < len(tenants):
            wanted = tenants[done : done + tenants_a_page]
            with turn():
                snapshot = self.snapshot(generation, lane, wanted, first=first, bags=bags_a_page)
            told, stopped = wanted[: len(snapshot.held)], snapshot.stopped
            if stopped is None:
                yield Page(told, first, None, len(told), snapshot)
                done += len(told)
            else:
                yield Page(told, first, stopped - 1, len(told) - 1, snapshot)
                done += len(told) - 1
            first = stopped

    def memory(self) -> list[tuple[int, int]]:
        """For each node: bytes used, and the limit (0 for none)."""
        with translated():
            return [
                (int(info["used_memory"]), int(info.get("maxmemory", 0)))
                for info in infos(self._client, "memory")
            ]

    def drop(self, generation: Generation, *, after_s: int = 0) -> int:
        """Remove all keys of a generation, at once or after a time.

        Returns: how many keys.
        """
        number = 0
        with translated():
            for lane in range(generation.lanes):
                for keys in _groups(
                    self._client.scan_iter(match=f"{lane_key(generation.name, lane)}*", count=1000)
                ):
                    number += len(keys)
                    pipeline = self._client.pipeline(transaction=False)
                    for key in keys:
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
        bags: int | None = None,
    ) -> Any:
        bounds = ["" if bound is None else bound for bound in (bags, first, last)]
        with translated():
            answer = self._client.eval_ro(
                _SNAPSHOT, 1, lane_key(generation.name, lane), generation.name, *bounds, *tenants
            )
        if answer is None:
            raise GoneError(f"lane {lane} of generation {generation.name} is not there")
        return answer


def _numbers(fields: list[bytes], letter: bytes) -> dict[int, int]:
    pairs = zip(fields[::2], fields[1::2], strict=True)
    return {int(name[1:]): int(number) for name, number in pairs if name[:1] == letter}


def _groups(keys: Iterable[bytes], size: int = 500) -> Iterable[list[bytes]]:
    group: list[bytes] = []
    for key in keys:
        group.append(key)
        if len(group) == size:
            yield group
            group = []
    if group:
        yield group
