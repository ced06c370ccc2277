"""From the parameters of a call to a path with its query string. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Final, Literal, Required, TypedDict, cast
from urllib.parse import quote, urlencode

from kraiter.counts import CORE_FIELDS, Field
from kraiter.results import Period

Instant = str | date | datetime
"""A time: ISO 8601, a date, or a datetime (without a zone it is read in that of `timezone`, else in UTC)."""

Fields = Field | Literal["all"] | Sequence[Field]
Scope = Literal["sequence", "template"] | str
Include = Literal["rates", "status"]
TenantInclude = Literal[Include, "health"]
Compare = Literal["previous", "previous_year"]
_Times = TypedDict("_Times", {"from": Instant | None, "to": Instant | None}, total=False)


class _TimeKeywords(TypedDict, total=False):
    from_: Instant | None
    to: Instant | None


class _Any(TypedDict, total=False):
    period: Period | None
    timezone: str | None
    compare: Compare | None


class _Scope(_Any, total=False):
    include: Include | Sequence[Include] | None


class _Tenant(_Any, total=False):
    include: TenantInclude | Sequence[TenantInclude] | None
    group_by: Scope | None
    limit: int | None


class ScopeParameters(_Scope, _Times, total=False):
    """What the numbers of one id, such as a sequence, are asked with."""


class ScopeFieldsParameters(ScopeParameters, total=False):
    """The same with `fields`."""

    fields: Required[Fields]


class ScopeKeywords(_Scope, _TimeKeywords, total=False):
    """The same as keyword arguments."""


class MetricsParameters(_Tenant, _Times, total=False):
    """What the numbers of the whole tenant are asked with."""


class MetricsFieldsParameters(MetricsParameters, total=False):
    """The same with `fields`."""

    fields: Required[Fields]


class MetricsKeywords(_Tenant, _TimeKeywords, total=False):
    """The same as keyword arguments."""


class PageParameters(TypedDict, total=False):
    """What a page of known ids is asked with. cursor: the `next_cursor` of the page before."""

    limit: int | None
    cursor: str | None


Given = Mapping[str, object]

PAGE_LARGEST: Final = 1000
"""The ids of the largest page."""


def path_of(*parts: str) -> str:
    """The path of a route: what follows `/api/metrics`. Dots are encoded, as `..` may be an id."""
    return "/".join(["/api/metrics", *(quote(part, safe="").replace(".", "%2E") for part in parts)])


def query_of(parameters: Given | None, keywords: Given) -> dict[str, object]:
    """The parameters of a call, by their names in the API. None is as if not given.

    parameters: names as in the API; keywords: the same with `from_`. What the API does not know is left for
    it to refuse.
    Raises: TypeError where a name is given both ways.
    """
    query = {name: value for name, value in (parameters or {}).items() if value is not None}
    for keyword, value in keywords.items():
        name = "from" if keyword == "from_" else keyword
        if value is None:
            continue
        if name in query:
            raise TypeError(f"{name!r} is given twice: in the dict and as a keyword")
        query[name] = value
    return query


def asked_fields(query: Given) -> Sequence[str] | None:
    """The fields that an answer must have; None: all that there are."""
    asked = query.get("fields")
    if asked is None:
        return CORE_FIELDS
    if isinstance(asked, str):
        return None if asked == "all" else asked.split(",")
    return cast("Sequence[str]", asked)


def with_query(path: str, query: Given) -> str:
    """A path with its query string."""
    given = [(name, _text_of(value)) for name, value in query.items()]
    return f"{path}?{urlencode(given)}" if given else path


def _text_of(value: object) -> str:
    if isinstance(value, datetime):
        if value.tzinfo is None:
            return value.isoformat(timespec="milliseconds")
        return value.astimezone(UTC).replace(tzinfo=None).isoformat(timespec="milliseconds") + "Z"
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, (list, tuple)):
        return ",".join(str(each) for each in value)
    return str(value)
