"""How much one key may ask of this process.

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

    def _refusal(self, key_id: str) -> ApiError:
        headers, wait_s = self._headers(key_id)
        return ApiError(
            RATE_LIMITED,
            f"This key may ask {self._limit.amount:,} times in {self._limit.get_expiry():,} s. "
            f"Ask again in {wait_s} s.",
            headers={**headers, "Retry-After": str(wait_s)},
        )

    def _headers(self, key_id: str) -> tuple[dict[str, str], int]:
        """How much is left, and for how many seconds this window goes on."""
        stats = self._counted.get_window_stats(self._limit, key_id)
        wait_s = max(1, math.ceil(stats.reset_time - time.time()))
        left = max(0, stats.remaining)
        return {"RateLimit-Policy": self._policy, "RateLimit": f"{POLICY};r={left};t={wait_s}"}, wait_s
