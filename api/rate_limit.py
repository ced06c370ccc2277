"""How much one key may ask of this process.

A window begins with the first request of a key and lasts as long as the setting says; what was asked in
it is told with every answer, in the headers of the IETF draft `RateLimit header fields for HTTP`.
"""

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem

from api.errors import RATE_LIMITED, ApiError

POLICY: Final = '"key"'
"""The name of the policy: each key has an allowance of its own."""


@dataclass(slots=True)
class Window:
    """What one key asked in a window that ends then (s, by the clock of this process)."""

    end_s: float
    asked: int = 0


class RateLimit:
    """Counts the requests of each key, in memory; as only valid keys are counted, it stays small."""

    def __init__(self, limit: RateLimitItem, clock: Callable[[], float] = time.monotonic) -> None:
        """clock: in seconds, never going back."""
        self._amount, self._length_s = limit.amount, limit.get_expiry()
        self._clock = clock
        self._windows: dict[str, Window] = {}
        self._policy = f"{POLICY};q={self._amount};w={self._length_s}"

    def check(self, key_id: str) -> None:
        """Look whether a key may ask, and count nothing.

        Raises: ApiError RATE_LIMITED where one more is one too many; its headers say when to come again.
        """
        self._open(key_id, self._clock())

    def count(self, key_id: str) -> dict[str, str]:
        """Count one request of a key.

        Returns: the headers of its answer.
        Raises: as `check`.
        """
        now_s = self._clock()
        window = self._open(key_id, now_s)
        window.asked += 1
        return self._headers(window, now_s)

    def _open(self, key_id: str, now_s: float) -> Window:
        """The window of a key, which has room for one more."""
        window = self._windows.get(key_id)
        if window is None or window.end_s <= now_s:
            window = self._windows[key_id] = Window(now_s + self._length_s)
        if window.asked >= self._amount:
            wait_s = _wait_s(window, now_s)
            raise ApiError(
                RATE_LIMITED,
                f"This key may ask {self._amount:,} times in {self._length_s:,} s. Ask again in {wait_s} s.",
                headers={**self._headers(window, now_s), "Retry-After": str(wait_s)},
            )
        return window

    def _headers(self, window: Window, now_s: float) -> dict[str, str]:
        left = self._amount - window.asked
        return {
            "RateLimit-Policy": self._policy,
            "RateLimit": f"{POLICY};r={left};t={_wait_s(window, now_s)}",
        }


def _wait_s(window: Window, now_s: float) -> int:
    return max(1, math.ceil(window.end_s - now_s))
