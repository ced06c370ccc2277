"""How often something that lasts is said: at once, and then once a minute."""

import time
from collections.abc import Callable
from typing import Final

REMINDER_S: Final = 60.0


class Reminder:
    """Knows what was said last, and when."""

    def __init__(self, clock_s: Callable[[], float] = time.monotonic) -> None:
        """clock_s: seconds that never go back."""
        self._clock_s = clock_s
        self._said: tuple[str, float] | None = None

    def is_due(self, what: str) -> bool:
        """Whether to say this now; whoever asks says it then."""
        now = self._clock_s()
        if self._said is not None and what == self._said[0] and now - self._said[1] < REMINDER_S:
            return False
        self._said = (what, now)
        return True

    def over(self) -> None:
        """It lasts no more: what comes next is said at once."""
        self._said = None
