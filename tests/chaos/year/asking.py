"""What the API answered, and when it might be away. Pure."""

from dataclasses import dataclass, field
from typing import NamedTuple


class Answer(NamedTuple):
    """Of the API. Times are `time.monotonic`'s."""

    began: float
    ended: float
    status: int


@dataclass
class Asking:
    """What the API answered, and when Redis was wiped: from and to."""

    answers: list[Answer] = field(default_factory=list)
    wiped: list[tuple[float, float]] = field(default_factory=list)

    def wrong(self) -> list[Answer]:
        """Answers but for 200, of times when Redis was there."""
        return [
            each
            for each in self.answers
            if each.status != 200
            and not any(each.began <= last and each.ended >= first for first, last in self.wiped)
        ]
