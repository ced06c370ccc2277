"""From the parameters of a call to a path with its query string. Pure."""

from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime
from typing import Literal, TypedDict
from urllib.parse import quote, urlencode

Instant = str | date | datetime
"""A time: ISO 8601, a date, or a datetime (without a zone it is read in that of `timezone`, else in UTC)."""

Period = Literal["hour", "day", "week", "month"]
Include = Literal["rates", "status"]
_Times = TypedDict("_Times", {"from": Instant | None, "to": Instant | None}, total=False)


class _TimeKeywords(TypedDict, total=False):
    from_: Instant | None
    to: Instant | None


class _Scope(TypedDict, total=False):
    period: Period | None
    timezone: str | None
    include: Include | Sequence[Include] | None
    compare: Literal["previous"] | None


class _Groups(TypedDict, total=False):
    group_by: str | None
    limit: int | None


class ScopeParameters(_Scope, _Times, total=False):
    """What the numbers of one sequence or template are asked with."""


class ScopeKeywords(_Scope, _TimeKeywords, total=False):
    """The same as keyword arguments."""


class MetricsParameters(_Scope, _Groups, _Times, total=False):
    """What the numbers of the whole tenant are asked with."""


class MetricsKeywords(_Scope, _Groups, _TimeKeywords, total=False):
    """The same as keyword arguments."""


class PageParameters(TypedDict, total=False):
    """What a page of known ids is asked with. cursor: the `next_cursor` of the page before."""

    limit: int | None
    cursor: str | None


Given = Mapping[str, object]


def path_of(kind: Literal["sequences", "templates"] | None = None, scope_id: str | None = None) -> str:
    """The path of a route. scope_id: of one sequence or template; dots are encoded, as `..` is no id."""
    path = "/api/metrics" if kind is None else f"/api/metrics/{kind}"
    return path if scope_id is None else f"{path}/{quote(scope_id, safe='').replace('.', '%2E')}"


def with_query(path: str, parameters: Given | None, keywords: Given) -> str:
    """A path with its query string.

    parameters: names as in the API; keywords: the same with `from_`. None is as if not given. What the API
    does not know is left for it to refuse.
    Raises: TypeError where a name is given both ways.
    """
    query = dict(parameters or {})
    for keyword, value in keywords.items():
        name = "from" if keyword == "from_" else keyword
        if name in query:
            raise TypeError(f"{name!r} is given twice: in the dict and as a keyword")
        query[name] = value
    given = [(name, _text_of(value)) for name, value in query.items() if value is not None]
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
