"""What a rebuild from a part of the log would lose: live cells that this part cannot speak for.

Where records are gone, the new generation holds of these cells what is left in the log: a part, or nothing.
"""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass

from aggregator.counters.keyspace import Keyspace
from aggregator.counters.throttle import THROTTLED
from aggregator.counting.cells import stored_cells
from aggregator.errors import GoneError
from aggregator.log.coverage import Coverage
from aggregator.rebuild.compare import COUNTERS_A_PAGE, TENANTS_A_PAGE
from schemas.counters import Generation
from schemas.redis_keys import unsafe_id


@dataclass(slots=True)
class Loss:
    """Cells of a tenant that the log cannot speak for.

    cells: how many. first_ms, last_ms: the first and the last quarter of an hour of them, in ms since 1970;
    none where they say only that ids are known.
    """

    tenant: str
    cells: int = 0
    first_ms: int | None = None
    last_ms: int | None = None

    def take_in(self, at: int | None) -> None:
        """One more. at: as in `Cell`."""
        self.cells += 1
        if at is not None:
            self.first_ms = at if self.first_ms is None else min(self.first_ms, at)
            self.last_ms = at if self.last_ms is None else max(self.last_ms, at)


@dataclass(frozen=True, slots=True)
class Losses:
    """Of all tenants that have any. unknown: why it is not known which cells they are, if so."""

    of: tuple[Loss, ...] = ()
    unknown: str | None = None

    def __bool__(self) -> bool:
        return bool(self.of) or self.unknown is not None

    def __str__(self) -> str:
        if self.unknown is not None:
            return f"live counters would be lost, and which cannot be known: {self.unknown}"
        cells = sum(loss.cells for loss in self.of)
        return f"{cells:,} cells of {len(self.of):,} tenants would be lost: the log cannot speak for them"


def losses_of(keys: Keyspace, live: Generation, coverage: Coverage) -> Losses:
    """The live cells that the log cannot speak for; all live counters are read, a page at a time.

    Raises: StoreUnavailableError.
    """
    try:
        found = [loss for lane in range(live.lanes) for loss in _of_lane(keys, live, lane, coverage)]
    except GoneError:
        return Losses(unknown="the live generation is not there as a whole")
    except ValueError as error:
        return Losses(unknown=f"they cannot be read: {error}")
    return Losses(tuple(sorted(found, key=lambda loss: loss.tenant)))


def _of_lane(keys: Keyspace, live: Generation, lane: int, coverage: Coverage) -> Iterator[Loss]:
    found: dict[str, Loss] = {}
    left: defaultdict[str, set[tuple[str, str]]] = defaultdict(set)  # ids that the log makes known again
    pages = keys.pages(
        live,
        lane,
        keys.tenants(live, lane),
        tenants_a_page=TENANTS_A_PAGE,
        packed_counters_a_page=COUNTERS_A_PAGE,
        resting=THROTTLED.resting,
    )
    for page in pages:
        for safe, held in zip(page.tenants, page.snapshot.held, strict=True):
            tenant = unsafe_id(safe)
            cells = stored_cells(tenant, live.scopes, *held)
            for cell in cells:
                if cell.at is not None and coverage.speaks_for(cell, told=False):
                    left[tenant].add((cell.scope, cell.id))
            for cell in cells:  # known ids come with the last of a tenant's counters
                if not coverage.speaks_for(cell, told=(cell.scope, cell.id) in left[tenant]):
                    found.setdefault(tenant, Loss(tenant)).take_in(cell.at)
    yield from found.values()
