"""What SNS does to a stream of events on its way to the webhook: some come late, some twice.

No clock and no I/O, as in `deploy.traffic`: the same seed gives the same disorder.
"""

import heapq
import json
from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from uuid import UUID

from deploy.traffic import Event


@dataclass(frozen=True, order=True)
class Message:
    """One message as SNS delivers it, maybe not for the first time."""

    sns_message_id: str
    body: str
    """The event as SES publishes it: JSON, with the line's end that SES puts behind it."""


class Disorder:
    """What SNS's "at least once, in any order" makes of a stream of events.

    One message in ten comes twice (with the same SNS id), one in six late, by up to `reach` messages.
    """

    def __init__(self, rng: Random, reach: int = 200) -> None:
        """Set how far a message may fall behind."""
        self._rng = rng
        self._reach = reach
        self._held: list[tuple[int, Message]] = []
        self._seen = 0

    def push(self, event: Event) -> list[Message]:
        """Take the next event in; returns the messages that are delivered now, perhaps none."""
        self._seen += 1
        sns_message_id = str(UUID(int=self._rng.getrandbits(128), version=4))
        message = Message(sns_message_id, json.dumps(event, separators=(",", ":")) + "\n")
        self._hold(message, late=self._rng.random() < 1 / 6)
        if self._rng.random() < 0.1:
            self._hold(message, late=True)
        return list(self._due())

    def flush(self) -> list[Message]:
        """All that is still held back."""
        self._seen += self._reach
        return list(self._due())

    def _hold(self, message: Message, *, late: bool) -> None:
        behind = self._rng.randint(1, self._reach) if late else 0
        heapq.heappush(self._held, (self._seen + behind, message))

    def _due(self) -> Iterator[Message]:
        while self._held and self._held[0][0] <= self._seen:
            yield heapq.heappop(self._held)[1]
