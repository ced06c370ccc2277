"""Whether there is a live generation, for those whose key opens nothing: one read a second.

Else whoever has no key could have Redis read as often as he likes. So a Redis that is gone may be reported to
them a second late; to everybody else it never is.
"""

import asyncio
import math
import time
from collections.abc import Callable
from typing import Final

from api.counters.reader import CounterReader

LATELY_S: Final = 1.0
"""How long it is believed that there is one."""


class Liveness:
    """Looks, unless that was done just now."""

    def __init__(self, reader: CounterReader, clock_s: Callable[[], float] = time.monotonic) -> None:
        """clock_s: seconds that never go back."""
        self._reader = reader
        self._clock_s = clock_s
        self._looking = asyncio.Lock()
        self._seen_s = -math.inf

    async def check(self) -> None:
        """Raises: ApiError UNAVAILABLE where no live generation was seen for `LATELY_S`, nor is now."""
        async with self._looking:
            now_s = self._clock_s()
            if now_s - self._seen_s >= LATELY_S:
                await self._reader.live()
                self._seen_s = now_s
