"""The book of all that was written to the events topic, and what must follow from it by the oracle.

The topic is not read again for it, as the attacks write what a client library would not read.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Final

from tests.attack.measure import MIB
from tests.chaos import view
from tests.pipeline import oracle
from tests.pipeline.log import Stored
from tests.pipeline.place import DeadLetter, dead_letter_of, place_of, time_of

COPIES_MOST: Final = 3
"""A dead letter may come again where a worker began again, but not over and over."""


EARLIEST_MS, LATEST_MS = -62_000_000_000_000, 250_000_000_000_000
"""The years that the oracle's times know, 5 to 9892. A record's time beyond them is as far away as these."""


@lru_cache(maxsize=4)
def _reported(value: bytes | None, time_ms: int) -> oracle.Reported:
    return oracle.read(value, time_of(min(max(time_ms, EARLIEST_MS), LATEST_MS)))


def _is_too_large(stored: Stored) -> bool:
    """The first step of the law of reading, which asks for more than the oracle is given."""
    value = len(stored.value or b"")
    others = len(stored.key or b"") + sum(
        len(name.encode()) + len(part) for name, part in stored.headers.items()
    )
    return value > MIB or value + others > MIB + 65_536


class Book:
    """What was written to one topic."""

    def __init__(self, topic: str) -> None:
        """Begin with nothing. topic: the events topic."""
        self._topic = topic
        self._reported: list[oracle.Reported] = []
        self._dead_letters: dict[bytes, DeadLetter] = {}

    def note(self, stored: Stored) -> None:
        """A record that Kafka has."""
        reported = (
            oracle.Reported("too_large") if _is_too_large(stored) else _reported(stored.value, stored.time_ms)
        )
        if reported.outcome in {*oracle.DEAD, "too_large"}:
            self._dead_letters[place_of(self._topic, stored)] = dead_letter_of(
                self._topic, stored, reported.outcome
            )
        else:
            self._reported.append(reported)

    def note_taken(self, value: bytes) -> None:
        """An event that the webhook took just now."""
        self._reported.append(oracle.read(value, datetime.now(UTC)))

    def count(self) -> oracle.Count:
        """The numbers that must be."""
        return oracle.count_reported(self._reported)

    def cells_differ(self, got: view.Cells) -> list[str]:
        """How cells differ from those that must be, in words."""
        differs = view.difference(got, view.flat(self.count()))
        return [f"cells differ: {differs}"] if differs else []

    def dead_letters_differ(self, got: Iterable[Stored]) -> list[str]:
        """How dead letters differ from those that must be, in words."""
        copies: Counter[bytes] = Counter()
        found: dict[bytes, DeadLetter] = {}
        for record in got:
            key = record.key or b""
            copies[key] += 1
            found[key] = (record.value, record.headers)
        want = self._dead_letters
        faults = {
            "missing": want.keys() - found.keys(),
            "too many": found.keys() - want.keys(),
            "other than they must be": {key for key in want.keys() & found.keys() if want[key] != found[key]},
        }
        reported = [
            f"{len(keys)} dead letters are {what}, as {min(keys)!r}" for what, keys in faults.items() if keys
        ]
        most = max(copies.values(), default=0)
        return [*reported, f"a dead letter was written {most} times"] if most > COPIES_MOST else reported
