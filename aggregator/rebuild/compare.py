"""The live generation and the new one compared: each tenant at the same checkpoints, live lane by live lane.

The new one is counted up to the checkpoints that a page of the live one was read at, and read then, from all
lanes in which the tenants of the page live there. Where a part of the log is counted, cells that it cannot
speak for tell nothing of the live ones: where they differ they are lost.
"""

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator
from typing import Final

from aggregator.counters.keyspace import Keyspace, Page
from aggregator.counters.snapshots.answer import Held
from aggregator.counters.throttle import THROTTLED
from aggregator.counting.cells import Difference, differences, stored_cells
from aggregator.counting.rules import Erasures
from aggregator.errors import ErasedError
from aggregator.log.coverage import Coverage
from aggregator.rebuild.catch_up import Tail
from aggregator.rebuild.following import LiveBehindError, unless_gone, wait_for
from aggregator.rebuild.report import Progress, Report
from schemas.counters import Generation
from schemas.redis_keys import lane_of, unsafe_id

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
        coverage: Coverage,
        progress: Progress,
        lease_held: Callable[[], None],
    ) -> None:
        """Prepare.

        keys: of their Redis. coverage: what the counted log can speak for. progress: who watches.
        lease_held: called often; what it raises ends the comparison.
        """
        self._keys = keys
        self._live = live
        self._new = new
        self._coverage = coverage
        self._progress = progress
        self._lease_held = lease_held

    def run(self, tail: Tail, report: Report) -> None:
        """Compare all tenants; where that cannot go on, the report says why.

        tail: counts into the new one. report: takes in what is compared and what differs.
        Raises: PostponedError of any kind; what `lease_held` raises.
        """
        try:
            with unless_gone(self._live):
                for group in range(tail.groups.number):
                    counted_anew = self._tenants(tail.groups.new_lanes(group))
                    for lane in tail.groups.live_lanes(group):
                        wait_for(self._keys, self._live, lane, tail, say=self._progress.say)
                        self._lane(lane, counted_anew.pop(lane, set()), tail, report)
                return
            report.not_compared = "the live generation is not there as a whole: Redis was wiped"
        except LiveBehindError:
            report.not_compared = "live counting stands behind the rebuild: no worker moves its checkpoints"
        except ErasedError:
            report.not_compared = "a tenant was erased meanwhile, and not all lanes have taken that in"
        except ValueError as error:
            report.not_compared = f"the live counters cannot be read: {error}"

    def _tenants(self, lanes: Iterable[int]) -> dict[int, set[str]]:
        """The tenants, as they stand in keys, of some lanes of the new one, by lane of the live one."""
        found: defaultdict[int, set[str]] = defaultdict(set)
        for lane in lanes:
            for tenant in self._keys.tenants(self._new, lane):
                found[lane_of(unsafe_id(tenant), self._live.lanes)].add(tenant)
        return found

    def _lane(self, lane: int, counted_anew: set[str], tail: Tail, report: Report) -> None:
        """A page at a time, of many tenants or of some days of one: Redis is never held up for long.

        lane: of the live one. counted_anew: its tenants in the new one.
        """
        keys, live = self._keys, self._live
        tenants = sorted({*keys.tenants(live, lane), *counted_anew})
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
            checkpoints = page.snapshot.checkpoints
            tail.erasures.check(page.snapshot.erased, lane, live.lanes)
            tail.read_to(checkpoints)
            tail.count_to({lane: checkpoints})
            differing, lost = self._differing(page, tail.erasures)
            if differing:
                # What was counted ahead may be gone from a Redis that went back: no checkpoint shows that.
                tail.count_again(lane)
                differing, lost = self._differing(page, tail.erasures)
            for difference in differing:
                report.take_in(difference)
            report.lost += lost
            done += page.whole
            report.compared += page.whole
            self._progress(f"comparing lane {lane + 1} of {live.lanes}", done, len(tenants))

    def _differing(self, page: Page, erasures: Erasures) -> tuple[list[Difference], int]:
        """What differs between a page that was read from the live one and the new one as it is now.

        erasures: by which the new one was counted.
        Returns: that, and in how many cells more that the log cannot speak for.
        Raises: ErasedError where a lane has taken in others; GoneError, StoreUnavailableError.
        """
        held = dict(self._counted_anew(page, erasures))
        found = [
            difference
            for tenant, old in zip(page.tenants, page.snapshot.held, strict=True)
            for difference in differences(
                log=stored_cells(unsafe_id(tenant), self._new.scopes, *held[tenant]),
                redis=stored_cells(unsafe_id(tenant), self._live.scopes, *old),
            )
        ]
        covered = [each for each in found if self._coverage.speaks_for(each.cell, told=each.log > 0)]
        return covered, len(found) - len(covered)

    def _counted_anew(self, page: Page, erasures: Erasures) -> Iterator[tuple[str, Held]]:
        """What the new one holds of a page that was read from the live one, by tenant."""
        by_lane: defaultdict[int, list[str]] = defaultdict(list)
        for tenant in page.tenants:
            by_lane[lane_of(unsafe_id(tenant), self._new.lanes)].append(tenant)
        for lane, tenants in by_lane.items():
            first = page.first if tenants[0] == page.tenants[0] else None
            last = page.last if tenants[-1] == page.tenants[-1] else None
            with THROTTLED.resting():
                snapshot = self._keys.snapshot(self._new, lane, tenants, first=first, last=last)
            erasures.check(snapshot.erased, lane, self._new.lanes)
            yield from zip(tenants, snapshot.held, strict=True)
