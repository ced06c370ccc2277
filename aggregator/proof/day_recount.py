"""A count of one tenant's day from the log alone, in memory that follows that day and not the days before.

Knows no Kafka and no Redis. Like `recount` it is the law of counting in its plainest form, a fact at
its least quarter of an hour. But a fact of this day may have been reported for an earlier one too, by a
record that comes before or after it, and 62 days of facts of a large tenant do not fit in memory. So the
facts reported for an earlier day go to a file in the order in which they come, and are taken out at the end.
"""

import tempfile
from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from hashlib import blake2b
from typing import Final

import msgspec

from aggregator.counting.cells import Cell, counted_cells
from aggregator.counting.facts import Facts, Scopes
from schemas.instants import DAY_MS, QUARTERS
from schemas.kinds import HORIZON_MS

_DIGEST_BYTES: Final = 16
"""Two of a billion facts have the same digest with odds of 1 to 10^21."""

_HORIZON_DAYS: Final = HORIZON_MS // DAY_MS
_READ: Final = 4096 * _DIGEST_BYTES
_encode: Final = msgspec.msgpack.encode
_What = tuple[int, int, Scopes]
"""Quarter of the day, kind, scopes."""


@lru_cache(100_000)
def _what(quarter: int, kind: int, scopes: Scopes) -> _What:
    """One object for all facts that are counted in the same cells."""
    return quarter, kind, scopes


class DayRecount:
    """Counts the events of one tenant for one day. To be closed."""

    def __init__(self, tenant: str, day: int, scopes: Sequence[str]) -> None:
        """Prepare; makes a temporary file.

        tenant: whose events will be given. day: of the counts, in days since 1970. scopes: the names of those
        beside the tenant, in the order of the rules.
        Raises: OSError where there is no room for the file.
        """
        self.tenant = tenant
        self.day = day
        self._scopes = scopes
        self._least: dict[bytes, _What] = {}
        self._earlier = tempfile.TemporaryFile()  # noqa: SIM115  # closed by `close`

    def __len__(self) -> int:
        """How many facts are held in memory."""
        return len(self._least)

    def close(self) -> None:
        """Forget all; the file is gone with it."""
        self._least.clear()
        self._earlier.close()

    def add(self, facts: Facts) -> None:
        """Take in an event of the tenant, in any order and any number of times.

        Raises: OSError where the disk is full.
        """
        quarter = (facts.day - self.day) * QUARTERS + facts.quarter
        if quarter >= QUARTERS or facts.day < self.day - _HORIZON_DAYS:
            return  # reported for a later day, or of a mail that can have no fact on this one
        for kind in facts.kinds:
            for recipient in facts.recipients:
                identity = _encode((facts.day, facts.message_id, recipient, kind, facts.scopes))
                digest = blake2b(identity, digest_size=_DIGEST_BYTES).digest()
                if quarter < 0:
                    self._earlier.write(digest)
                    continue
                had = self._least.get(digest)
                if had is None or quarter < had[0]:
                    self._least[digest] = _what(quarter, kind, facts.scopes)

    def cells(self) -> Counter[Cell]:
        """The day's cells that are not 0. To be called once, after the last `add`."""
        self._earlier.seek(0)
        while digests := self._earlier.read(_READ):
            for at in range(0, len(digests), _DIGEST_BYTES):
                self._least.pop(digests[at : at + _DIGEST_BYTES], None)
        cells: Counter[Cell] = Counter()
        for (quarter, kind, scopes), number in Counter(self._least.values()).items():
            for cell in counted_cells(self._scopes, scopes, self.day, quarter, (kind,)):
                cells[cell] += number
        return cells
