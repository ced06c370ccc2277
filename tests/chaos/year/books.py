"""What must be counted of the year so far, by an independent count, and whether Redis holds it."""

from collections.abc import Sequence
from typing import Any, Final

from tests.chaos.year.mail import counted
from tests.chaos.year.tally import Scopes, Tally
from tests.pipeline import oracle, stored
from tests.pipeline.log import Outgoing

TAGS: Final = (oracle.PAGE, {**oracle.PAGE, "template": "campaign"})
"""Of the further scopes, before and after the change of a rule."""


class Books:
    """The numbers by the rules before and after the change: of all tenants but one, and of that one."""

    def __init__(self, erased: str) -> None:
        """erased: the tenant that will be."""
        self._erased = erased
        self._scopes = Scopes()
        self._others = [Tally(self._scopes) for _ in TAGS]
        self._of_erased = [Tally(self._scopes) for _ in TAGS]
        self._rules = 0
        self._is_erased = False

    def count(self, mails: Sequence[Outgoing]) -> None:
        """Count whole mails; by rules that nobody counts by any more they are not."""
        for rules in range(self._rules, len(TAGS)):
            cells = counted(mails, TAGS[rules])
            self._others[rules].add((cell, n) for cell, n in cells.items() if cell[0][0] != self._erased)
            if not self._is_erased:
                self._of_erased[rules].add(
                    (cell, n) for cell, n in cells.items() if cell[0][0] == self._erased
                )

    def change_rule(self) -> None:
        """From now on the rules are those after the change."""
        self._rules = 1

    def erase(self) -> None:
        """Nothing counts of that tenant, nor of what comes with times of the past..."""
        self._of_erased = [Tally(self._scopes) for _ in TAGS]
        self._is_erased = True

    def come_to_today(self) -> None:
        """... but what comes now does."""
        self._is_erased = False

    def now(self) -> Tally:
        """What must be counted."""
        return self._others[self._rules].also(self._of_erased[self._rules])

    def differences(self, client: Any) -> list[str]:
        """How a Redis differs from that, in words."""
        want = self.now()
        left, known = want.also(Tally(self._scopes)), set()
        for held in stored.held_by_lane(client):
            left.add(held.cells.items(), -1)
            known |= held.known
        told = {scope for scope in want.scopes() if scope[1] != "tenant"}
        return [
            *(f"{cell}: {number:+} is missing" for cell, number in left.cells()),
            *(f"{scope} is known or is not, wrongly" for scope in known ^ told),
        ]
