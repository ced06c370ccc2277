"""The live generation and the new one compared: each tenant at the same checkpoints, lane by lane.

The new one is counted up to the checkpoints that a page of the live one was read at, and read then.
"""

from collections.abc import Callable
from typing import Final

from aggregator.counters.keyspace import Keyspace
from aggregator.counters.throttle import THROTTLED
from aggregator.counting.cells import differences, stored_cells
from aggregator.rebuild.catch_up import Tail
from aggregator.rebuild.following import LiveBehindError, unless_gone, wait_for
from aggregator.rebuild.report import Progress, Report
from schemas.counters import Generation
from schemas.redis_keys import unsafe_id

TENANTS_A_PAGE: Final = 200
COUNTERS_A_PAGE: Final = 2_000
"""Read by one call for the comparison: a millisecond of Redis, less than a call that counts takes."""


class Comparison:
    """Compares two generations, of which one is live."""

    def __init__(
        self,
        keys: Keyspace,
        *,
        live: Generation,
        new: Generation,
        progress: Progress,
        lease_held: Callable[[], None],
    ) -> None:
        """Prepare.

        keys: of their Redis. live, new: with the same number of lanes. progress: who watches.
        lease_held: called often; what it raises ends the comparison.
        """
        self._keys = keys
        self._live = live
        self._new = new
        self._progress = progress
        self._lease_held = lease_held

    def run(self, tail: Tail, report: Report) -> None:
        """Compare all tenants; where that cannot go on, the report says why.

        tail: counts into the new one. report: takes in what is compared and what differs.
        Raises: PostponedError of any kind; what `lease_held` raises.
        """
        try:
            with unless_gone(self._live):
                for lane in range(self._new.lanes):
                    wait_for(self._keys, self._live, lane, tail, say=self._progress.say)
                    self._lane(lane, tail, report)
                return
            report.not_compared = "the live generation is not there as a whole: Redis was wiped"
        except LiveBehindError:
            report.not_compared = "live counting stands behind the rebuild: no worker moves its checkpoints"
        except ValueError as error:
            report.not_compared = f"the live counters cannot be read: {error}"

    def _lane(self, lane: int, tail: Tail, report: Report) -> None:
        """A page at a time, of many tenants or of some days of one: Redis is never held up for long."""
        keys, live, new = self._keys, self._live, self._new
        tenants = sorted({*keys.tenants(live, lane), *keys.tenants(new, lane)})
        pages = keys.pages(
            live,
            lane,
            tenants,
            tenants_a_page=TENANTS_A_PAGE,
            packed_counters_a_page=COUNTERS_A_PAGE,
            resting=THROTTLED.resting,
        )
        done = 0
        for page in pages:
            self._lease_held()
            before = page.snapshot
            tail.read_to(before.checkpoints)
            tail.count_to(lane, before.checkpoints)
            with THROTTLED.resting():
                after = keys.snapshot(new, lane, page.tenants, first=page.first, last=page.last)
            for tenant, old, counted in zip(page.tenants, before.held, after.held, strict=True):
                name = unsafe_id(tenant)
                for difference in differences(
                    log=stored_cells(name, new.scopes, *counted), redis=stored_cells(name, live.scopes, *old)
                ):
                    report.take_in(difference)
            done += page.whole
            report.compared += page.whole
            self._progress(f"comparing lane {lane + 1} of {new.lanes}", done, len(tenants))
