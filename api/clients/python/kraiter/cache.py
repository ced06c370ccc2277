"""Answers that are held with their tags. Threads may share it."""

from collections import OrderedDict
from dataclasses import dataclass
from threading import Lock
from typing import Any


@dataclass(frozen=True, slots=True)
class Held:
    """An answer and its entity tag. result: a frozen value, so it can be given out again."""

    tag: str
    result: Any


class Cache:
    """At most `size` answers by URL; the one that was used longest ago goes first."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._held: OrderedDict[str, Held] = OrderedDict()
        self._lock = Lock()

    def get(self, url: str) -> Held | None:
        """What is held for a URL."""
        with self._lock:
            held = self._held.get(url)
            if held is not None:
                self._held.move_to_end(url)
            return held

    def put(self, url: str, held: Held) -> None:
        """Hold an answer."""
        with self._lock:
            self._held[url] = held
            self._held.move_to_end(url)
            while len(self._held) > self._size:
                self._held.popitem(last=False)
