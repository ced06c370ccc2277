"""How much one key may ask of this process, by what its queries cost.

Each request counts as one before it is answered, and the rest of what its query costs (`api.sharing.costs`)
once it is. **Who asks one thing at a time is never refused for what it costs**: a query counts for no more
than the share of the window that its answer took, so all that is asked in a row fits into it.

A window begins with the first request of a key and lasts as long as the setting says; what was asked in
every answer says so, in the headers of the IETF draft `RateLimit header fields for HTTP`.

The windows are counted here and not by `limits`, which reads the setting: its storage looks a key up three
times for a request, and while requests come starts a thread every ten milliseconds to look for what ended.
Here are only keys that exist, so there are never more windows than keys, and none need be looked for.
"""

import math
import time
from dataclasses import dataclass
from typing import Final

from limits import RateLimitItem

from api.errors import RATE_LIMITED, ApiError

POLICY: Final = '"key"'
"""The name of the policy: each key has an allowance of its own."""


@dataclass(slots=True)
class _Window:
    """Of a key: when it ends, by `time.time`, and what was counted in it."""

    ends_s: float
    counted: int = 0


class RateLimit:
    """Counts the requests of each key, in memory. Used from one thread."""

    def __init__(self, limit: RateLimitItem) -> None:
        self._limit = limit
        self._window_s = limit.get_expiry()
        self._windows: dict[str, _Window] = {}
        self._policy = f"{POLICY};q={limit.amount};w={self._window_s}"

    def check(self, key_id: str) -> None:
        """Look whether a key may ask, and count nothing.

        key_id: of a key that there is.
        Raises: ApiError RATE_LIMITED where one more is one too many; its headers say when to come again.
        """
        now_s = time.time()
        window = self._windows.get(key_id)
        if window is not None and now_s < window.ends_s and window.counted >= self._limit.amount:
            raise self._refusal(window, now_s)

    def count(self, key_id: str) -> dict[str, str]:
        """Count one request of a key.

        Returns: the headers of its answer.
        Raises: as `check`.
        """
        now_s = time.time()
        window = self._windows.get(key_id)
        if window is None or now_s >= window.ends_s:
            window = self._windows[key_id] = _Window(now_s + self._window_s)
        window.counted += 1
        if window.counted > self._limit.amount:
            raise self._refusal(window, now_s)
        return self._headers(window, now_s)

    def charge(self, key_id: str, cost: int, since_s: float) -> dict[str, str]:
        """Count the rest of what a request cost, now that it is answered.

        cost: of its query; since_s: when it came, by `time.time`.
        Returns: the headers of its answer.
        """
        now_s = time.time()
        window = self._windows.get(key_id)
        if window is None or now_s >= window.ends_s:
            return self._headers(_Window(now_s), now_s)
        took_s = now_s - max(since_s, window.ends_s - self._window_s)
        window.counted += max(0, min(cost, int(self._limit.amount * took_s / self._window_s)) - 1)
        return self._headers(window, now_s)

    def _refusal(self, window: _Window, now_s: float) -> ApiError:
        wait_s = _wait_s(window, now_s)
        return ApiError(
            RATE_LIMITED,
            f"The queries of a key may cost {self._limit.amount:,} in {self._window_s:,} s, where "
            f"an ordinary one costs 1, and those of this key have. Ask again in {wait_s} s.",
            headers={**self._headers(window, now_s), "Retry-After": str(wait_s)},
        )

    def _headers(self, window: _Window, now_s: float) -> dict[str, str]:
        """How much is left, and for how many seconds this window goes on."""
        left = max(0, self._limit.amount - window.counted)
        return {
            "RateLimit-Policy": self._policy,
            "RateLimit": f"{POLICY};r={left};t={_wait_s(window, now_s)}",
        }


def _wait_s(window: _Window, now_s: float) -> int:
    return max(1, math.ceil(window.ends_s - now_s))
