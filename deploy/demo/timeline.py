"""Events in the order of their time, each when it happens. No clock and no I/O: the time comes in."""

import heapq
from abc import ABC, abstractmethod
from collections.abc import Iterator
from random import Random

from deploy.demo.plan import Plan
from deploy.letters import Letter, life_of_a_mail
from deploy.traffic import DAY, SECOND, Event


class Timeline(ABC):
    """Mails that are sent one after the other, and what they bring about later."""

    def __init__(self, start_ms: int) -> None:
        """start_ms: no mail is sent before (ms since 1970, UTC)."""
        self.planned_ms = float(start_ms)
        """Up to this time every mail is known."""
        self._to_come: list[tuple[int, int, Event]] = []
        self._made = 0

    def until(self, now_ms: int) -> Iterator[tuple[int, Event]]:
        """The events that have happened up to `now_ms` and were not given yet, each with its time.

        None has a time after `now_ms`; what a mail that was sent brings about later comes later.
        """
        while True:
            while self._to_come and self._to_come[0][0] <= min(now_ms, self.planned_ms):
                at_ms, _, event = heapq.heappop(self._to_come)
                yield at_ms, event
            if self.planned_ms > now_ms:
                return
            self._plan()

    @abstractmethod
    def _plan(self) -> None:
        """Send the mails of the time that comes next and move `planned_ms` on."""

    def _send(self, rng: Random, letter: Letter, sent_ms: int) -> None:
        for at_ms, event in life_of_a_mail(rng, letter, sent_ms):
            self._made += 1
            heapq.heappush(self._to_come, (at_ms, self._made, event))


class Planned(Timeline):
    """What a plan says, from the beginning of its past on."""

    def __init__(self, plan: Plan) -> None:
        super().__init__(plan.oldest_day * DAY)
        self._by_plan = plan
        self._day = plan.oldest_day

    def _plan(self) -> None:
        for rng, sent_ms, letter in self._by_plan.of_day(self._day):
            self._send(rng, letter, sent_ms)
        self._day += 1
        self.planned_ms = self._day * DAY - 1


class Steady(Timeline):
    """Mail at a steady rate, of the kinds that a plan sends again and again: a watcher sees it move."""

    def __init__(self, rng: Random, plan: Plan, start_ms: int, mails_per_s: float) -> None:
        """rng: not the plan's, so these are other mails."""
        super().__init__(start_ms)
        self._rng = rng
        self._by_plan = plan
        self._mails_per_s = mails_per_s

    def _plan(self) -> None:
        sent_ms = int(self.planned_ms)
        weights, letters = zip(*self._by_plan.usual(sent_ms // DAY), strict=True)
        self._send(self._rng, self._rng.choices(letters, weights)[0], sent_ms)
        self.planned_ms += self._rng.expovariate(self._mails_per_s) * SECOND
