"""What a query costs those who answer it, in units of an ordinary one. Pure.

It is said before anything is read, so it goes by what is asked for and not by what there is. An answer is
made of days that are read and points that are written; some 250 of them take as long as all else of it.
`RULES` are what the API's documentation says of it.
"""

from collections.abc import Iterable
from datetime import date
from typing import Final

from api.query.instants import format_instant
from api.query.parameters import RATES, STATUS
from api.query.query import PageQuery, Query

ORDINARY: Final = 1
"""What every query costs: the last 30 days, say."""

A_UNIT: Final = 250
"""Days, points and ids that cost as much as all else of an answer."""

A_DAY_OF_GROUPS: Final = 100
"""Days that a day costs where the ids of a scope are read with it: nobody knows yet how many those are."""

MOST: Final = 100
"""No query costs more: a range of centuries is dear by what there is in it, and that ends."""

UNDER_WAY: Final = 2 * MOST
"""What the queries of a tenant that are being answered may cost together."""

HEADER: Final = "X-Query-Cost"

LONG_DAYS: Final = 200
"""Days that are cut within three milliseconds, whatever the zone."""

RULES: Final = f"""A query costs {ORDINARY}, and {ORDINARY} more for each {A_UNIT} of these, at most {MOST}:

- the days of UTC that are read, those of `compare` too; twice where some of the six fields are needed and
  some of the others, and twice where `timezone` lies off the hour
- the points, and as many again for `include=rates` and for `include=status`
- with `group_by`, {A_DAY_OF_GROUPS} for each day
- of a listing, its `limit`

`{HEADER}` says what a query costs, and the `RateLimit` headers what is left to its key. Of one
tenant, queries that cost {UNDER_WAY} together are answered at a time; one more is refused with 429. Who
asks one thing at a time is never refused for its cost."""


def cost_of(asked: Query | PageQuery) -> int:
    """What a query costs, from `ORDINARY` to `MOST`."""
    return min(MOST, ORDINARY + (asked.limit if isinstance(asked, PageQuery) else _size(asked)) // A_UNIT)


def may_be_long(items: Iterable[tuple[str, str]], now_ms: int) -> bool:
    """Whether it may take long to understand a query: it cuts many days by the clocks of a zone.

    items: names and values as they stand in the query string; now_ms: the time that `to` defaults to.
    """
    given = dict(items)
    if not {"timezone", "from"} <= given.keys():
        return False
    today = format_instant(now_ms)
    try:
        first, last = (date.fromisoformat(given.get(name, today)[:10]) for name in ("from", "to"))
    except ValueError:
        return False  # it is refused, which takes no time
    return (last - first).days > LONG_DAYS


def _size(asked: Query) -> int:
    needs = asked.needs
    days = sum(map(len, needs.days)) * len(needs.families) * (2 if needs.by_quarter else 1)
    points = len(asked.asked.starts) * (1 + len(asked.include & {RATES, STATUS}))
    return days + points + (0 if needs.groups is None else A_DAY_OF_GROUPS * len(needs.groups.days))
