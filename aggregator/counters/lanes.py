"""The lanes of a generation: made, closed to counting, opened again, and pointed to their successor.

`lane.lua` does each step for one lane, which is one hash slot; the order of the steps is the caller's
(`registry`, where a switch is described).

**What a lane is counted by** stands in its field `rules`: the fingerprint of the rules; once a tenant of the
lane was erased, a `+` and the number of the last such erasure (`aggregator.counting.rules`); and while a
later one is being taken in, a `!` and a word that nobody else has (`aggregator.erasure.take_in`). Who counts
names the whole of it with each call, and `apply.lua` does nothing where the lane's is another.
"""

from collections.abc import Mapping
from importlib.resources import files
from typing import Any, Final, NamedTuple

import msgspec

from aggregator.counters.connection import Client, decoded, translated
from aggregator.errors import GoneError, RefusedError
from schemas.counters import Generation
from schemas.redis_keys import lane_key

LANE_SCRIPT: Final = files("aggregator.counters").joinpath("lane.lua").read_text()


class Closed(NamedTuple):
    """What a lane says of its being closed. Both are none where it is open.

    attempt: for which generation and in which attempt. successor: to which generation the switch was done.
    """

    attempt: str | None
    successor: Generation | None


class Lanes:
    """Makes, closes and opens lanes. Every method raises StoreUnavailableError."""

    def __init__(self, client: Client) -> None:
        """client: connected to the Redis of the counters."""
        self._client = client

    def make(self, generation: Generation, start: Mapping[int, int]) -> None:
        """Make the lanes of a generation; those that are there already stay as they are.

        start: the checkpoints (by partition) of a generation that does not begin at the start of the log.
        """
        with translated():
            for lane in range(generation.lanes):
                key = lane_key(generation.name, lane)
                if self._client.hexists(key, "generation"):
                    continue
                fields: dict[Any, Any] = {f"f{number}": at for number, at in start.items()}
                fields |= {"generation": generation.name, "rules": generation.rules}
                self._client.hset(key, mapping=fields)

    def closed(self, generation: Generation) -> list[Closed]:
        """What each lane says, by lane. Raises: GoneError."""
        found = []
        for lane in range(generation.lanes):
            key = lane_key(generation.name, lane)
            with translated():
                head: Any = self._client.hmget(key, "generation", "retired", "successor")
            name, attempt, successor = head
            if name != generation.name.encode():
                raise gone(generation, lane)
            found.append(
                Closed(
                    attempt.decode() if attempt else None,
                    decoded(successor, Generation) if successor else None,
                )
            )
        return found

    def close(self, generation: Generation, attempt: str) -> None:
        """From now on nothing is counted into a generation; it can still be read. What is gone stays gone.

        attempt: as in `closed_for`. Raises: RefusedError where it was taken back.
        """
        for lane in range(generation.lanes):
            self.close_lane(generation, lane, attempt)

    def close_lane(self, generation: Generation, lane: int, attempt: str) -> None:
        """As `close`, for one lane. Raises: RefusedError."""
        if self._run(generation, lane, "close", attempt) == b"BARRED":
            raise RefusedError("the switch was taken back: this rebuild was away for too long")

    def open(self, generation: Generation, attempt: str) -> None:
        """Lanes that were closed in an attempt count again, and bar it."""
        for lane in range(generation.lanes):
            self._run(generation, lane, "open", attempt)

    def rule(self, generation: Generation, lane: int, before: str, after: str) -> None:
        """Have a lane carry other rules, where it carries `before`."""
        self._run(generation, lane, "rule", before, after)

    def succeed(self, generation: Generation, attempt: str, successor: Generation) -> None:
        """Write into lanes that were closed in an attempt to which generation the switch was done."""
        for lane in range(generation.lanes):
            self.succeed_lane(generation, lane, attempt, successor)

    def succeed_lane(self, generation: Generation, lane: int, attempt: str, successor: Generation) -> None:
        """As `succeed`, for one lane."""
        self._run(generation, lane, "succeed", attempt, msgspec.json.encode(successor))

    def _run(self, generation: Generation, lane: int, *arguments: str | bytes) -> Any:
        with translated():
            return self._client.eval(
                LANE_SCRIPT, 1, lane_key(generation.name, lane), generation.name, *arguments
            )


def gone(generation: Generation, lane: int) -> GoneError:
    """The error for a lane that is not there."""
    return GoneError(f"lane {lane} of generation {generation.name} is not there", generation.name)


class Standing(NamedTuple):
    """What a lane carries.

    rules: the fingerprint. erased: the number of the last erasure that it has taken in, 0 for none. word: not
    empty while the lane is closed to counting as a later one is being taken in.
    """

    rules: str
    erased: int = 0
    word: str = ""

    @property
    def text(self) -> str:
        """As it stands in the lane."""
        number = f"+{self.erased}" if self.erased else ""
        return f"{self.rules}{number}" + (f"!{self.word}" if self.word else "")


def standing_of(text: bytes) -> Standing:
    """What a lane carries, of what stands there."""
    counted, _, word = text.decode(errors="replace").partition("!")
    rules, _, number = counted.partition("+")
    return Standing(rules, int(number) if number.isdecimal() else 0, word)
