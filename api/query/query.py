"""From the query string to a query that was understood. Pure; the clock comes in as a number."""

import binascii
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from api import sender_health
from api.errors import INVALID_PARAMETER, INVALID_TIMEZONE, ApiError
from api.query.parameters import (
    ALL,
    COMPARISONS,
    HEALTH,
    LIMITS,
    PREVIOUS,
    RATES,
    Parameters,
    read_parameters,
)
from api.query.ranges import Range, Span, parse_range, range_before, year_before
from api.query.rollup import Fields, families_of
from api.query.zones import UTC, zone_of
from schemas.instants import HOUR_MS
from schemas.kinds import CORE, CORE_FIELDS, FIELDS

DEFAULT_GROUPS: Final = 10
DEFAULT_PAGE: Final = 100


class Groups(NamedTuple):
    """Of all ids of a scope the counts of some days. scope: its name, not known to be one yet."""

    scope: str
    days: range


@dataclass(frozen=True, slots=True)
class Needs:
    """What must be read of a scope for an answer.

    days: of UTC, since 1970, in the order of their starts; families: of kinds, by their names; by_quarter:
    not by hour; groups: the ids that are wanted too, where that is so.
    """

    days: Sequence[range] = ()
    families: tuple[str, ...] = (CORE,)
    by_quarter: bool = False
    groups: Groups | None = None


@dataclass(frozen=True, slots=True)
class Query:
    """What a metrics route is asked.

    asked: the range; fields: which counts are shown, in order; include: what is wanted beside them; previous:
    the span before where it is compared with; group_by: the scope (not known to be one yet) where groups are
    wanted, and how many; timezone: as it was given.
    """

    asked: Range
    fields: Fields
    include: frozenset[str]
    previous: Span | None
    group_by: str | None
    groups: int
    timezone: str | None

    @property
    def counted(self) -> Fields:
        """The fields that are shown, and after them others that something in the answer follows from."""
        of_page = CORE_FIELDS if self.group_by is not None or RATES in self.include else ()
        of_health = sender_health.COUNTED if HEALTH in self.include else ()
        more = (*of_page, *of_health)
        return tuple(dict.fromkeys((*self.fields, *more))) if more else self.fields

    @property
    def needs(self) -> Needs:
        """What must be read for the answer."""
        spans = [each for each in (self.previous, self.asked) if each is not None]
        days = tuple(each.days for each in spans)
        by_quarter = any(each.step_ms < HOUR_MS for each in spans)
        groups = None if self.group_by is None else Groups(self.group_by, self.asked.days)
        return Needs(days, families_of(self.counted), by_quarter, groups)


@dataclass(frozen=True, slots=True)
class PageQuery:
    """What a listing is asked: up to `limit` ids that come after `after` (none: from the first)."""

    limit: int
    after: str | None


def read_query(items: Iterable[tuple[str, str]], known: Parameters, now_ms: int) -> Query:
    """Understand a query about numbers.

    items: names and values in the order of the query string; known: the parameters of the route, of which
    `include` says what may be included there.
    Raises: ApiError, one of those with status 400.
    """
    given = read_parameters(items, known)
    fields = _fields(given.get("fields"))
    include = given.get("include")
    wanted = () if include is None else tuple(include.split(","))
    includes = known["include"]["schema"]["items"]["enum"]
    for each in wanted:
        if each not in includes:
            raise _not_one_of("include", each, includes, "or several of them with commas between")
    compare, group_by = given.get("compare"), given.get("group_by")
    if compare is not None and compare not in COMPARISONS:
        raise _not_one_of("compare", compare, COMPARISONS)
    if group_by is None and "limit" in given:
        raise ApiError(INVALID_PARAMETER, "`limit` says how many groups: give `group_by` too.", "limit")
    timezone = given.get("timezone")
    try:
        zone = UTC if timezone is None else zone_of(timezone)
    except KeyError:
        raise ApiError(
            INVALID_TIMEZONE,
            "`timezone` must be a name of the IANA database, like Europe/Berlin.",
            "timezone",
        ) from None
    asked = parse_range(given.get("period"), given.get("from"), given.get("to"), now_ms, zone)
    previous: Span | None = None
    if compare is not None:
        previous = range_before(asked) if compare == PREVIOUS else year_before(asked)
    return Query(
        asked, fields, frozenset(wanted), previous, group_by, _limit(given, DEFAULT_GROUPS), timezone
    )


def read_page(items: Iterable[tuple[str, str]], known: Parameters) -> PageQuery:
    """Understand a query for known ids. Raises: ApiError INVALID_PARAMETER."""
    given = read_parameters(items, known)
    return PageQuery(_limit(given, DEFAULT_PAGE), read_cursor(given.get("cursor")))


def _fields(text: str | None) -> Fields:
    if text is None:
        return CORE_FIELDS
    if text == ALL:
        return FIELDS
    fields = tuple(text.split(","))
    if ALL in fields:
        raise ApiError(INVALID_PARAMETER, f"`fields` is `{ALL}` alone, or names of fields.", "fields")
    for field in fields:
        if field not in FIELDS:
            raise _not_one_of("fields", field, (*FIELDS, ALL), "or several fields with commas between")
    if len(set(fields)) < len(fields):
        raise ApiError(INVALID_PARAMETER, "`fields` names a field more than once.", "fields")
    return fields


def _limit(given: dict[str, str], default: int) -> int:
    text = given.get("limit")
    if text is None:
        return default
    if not (text.isascii() and text.isdigit() and len(text) <= 4 and int(text) in LIMITS):
        raise ApiError(
            INVALID_PARAMETER, f"`limit` must be a number from {LIMITS[0]} to {LIMITS[-1]:,}.", "limit"
        )
    return int(text)


def _not_one_of(name: str, given: str, values: Iterable[str], more: str = "") -> ApiError:
    """given: what of the value is wrong, as many values are lists."""
    words = f"`{name}` cannot be `{given}` here: it must be one of {', '.join(values)} {more}".strip()
    return ApiError(INVALID_PARAMETER, f"{words}.", name)


# Pages of ids: a page is what comes after an id in the order of bytes, so ids that become known meanwhile
# move no other, and an id that is there all the time comes exactly once. A cursor is that id, made opaque.


def read_cursor(text: str | None) -> str | None:
    """The id in a cursor; None where none was given. Raises: ApiError INVALID_PARAMETER."""
    if text is None:
        return None
    try:
        cursor = urlsafe_b64decode(text.encode("ascii") + b"=" * (-len(text) % 4)).decode()
    except (UnicodeError, binascii.Error):
        cursor = None
    if cursor is None or write_cursor(cursor) != text:
        raise ApiError(
            INVALID_PARAMETER, "`cursor` must be the `next_cursor` of the page before, unchanged.", "cursor"
        )
    return cursor


def write_cursor(last: str) -> str:
    """The cursor of the page that follows an id."""
    return urlsafe_b64encode(last.encode()).decode().rstrip("=")


def page_of(ids: Sequence[str], limit: int) -> tuple[Sequence[str], str | None]:
    """A page, and the cursor of the next one where there is one.

    ids: of the page, and one more if there is one.
    """
    if len(ids) <= limit:
        return ids, None
    return ids[:limit], write_cursor(ids[limit - 1])
