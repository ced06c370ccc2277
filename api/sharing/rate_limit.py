"""How much one key may ask of this process, by what its queries cost.

Each request counts as one before it is answered, and the rest of what its query costs (`api.sharing.costs`)
once it is. **Who asks one thing at a time is never refused for what it costs**: a query counts for no more
than the share of the window that its answer took, so all that is asked in a row fits into it.

A window begins with the first request of a key and lasts as long as the setting says; what was asked in
every answer says so, in the headers of the IETF draft `RateLimit header fields for HTTP`.
"""

import math
import time
from typing import Final

from limits import RateLimitItem
from limits.storage import MemoryStorage
from limits.strategies import FixedWindowRateLimiter

from api.errors import RATE_LIMITED, ApiError

POLICY: Final = '"key"'
"""The name of the policy: each key has an allowance of its own."""


class RateLimit:
    """Counts the requests of each key, in memory."""

    def __init__(self, limit: RateLimitItem) -> None:
        self._limit = limit
        self._counted = FixedWindowRateLimiter(MemoryStorage())
        self._policy = f"{POLICY};q={limit.amount};w={limit.get_expiry()}"

    def check(self, key_id: str) -> None:
        """Look whether a key may ask, and count nothing.

        Raises: ApiError RATE_LIMITED where one more is one too many; its headers say when to come again.
        """
        if not self._counted.test(self._limit, key_id):
            raise self._refusal(key_id)

    def count(self, key_id: str) -> dict[str, str]:
        """Count one request of a key.

        Returns: the headers of its answer.
        Raises: as `check`.
        """
        if not self._counted.hit(self._limit, key_id):
            raise self._refusal(key_id)
        return self._headers(key_id)[0]

    def charge(self, key_id: str, cost: int, since_s: float) -> dict[str, str]:
        """Count the rest of what a request cost, now that it is answered.

        cost: of its query; since_s: when it came, by `time.time`.
        Returns: the headers of its answer.
        """
        window_s = self._limit.get_expiry()
        now_s, ends_s = time.time(), self._counted.get_window_stats(self._limit, key_id).reset_time
        if now_s < ends_s:
            took_s = now_s - max(since_s, ends_s - window_s)
            more = min(cost, int(self._limit.amount * took_s / window_s)) - 1
            if more > 0:
                self._counted.hit(self._limit, key_id, cost=more)
        return self._headers(key_id)[0]

    def _refusal(self, key_id: str) -> ApiError:
        headers, wait_s = self._headers(key_id)
        return ApiError(
            RATE_LIMITED,
            f"The queries of a key may cost {self._limit.amount:,} in {self._limit.get_expiry():,} s, where "
            f"an ordinary one costs 1, and those of this key have. Ask again in {wait_s} s.",
            headers={**headers, "Retry-After": str(wait_s)},
        )

    def _headers(self, key_id: str) -> tuple[dict[str, str], int]:
        """How much is left, and for how many seconds this window goes on."""
        stats = self._counted.get_window_stats(self._limit, key_id)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        left = max(0, stats.remaining)
        return {"RateLimit-Policy": self._policy, "RateLimit": f"{POLICY};r={left};t={wait_s}"}, wait_s
