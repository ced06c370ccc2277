"""The query parameters of all routes, as one table: what is accepted and what OpenAPI says. Pure."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Final, TypeAlias

from api.errors import INVALID_PARAMETER, ApiError
from api.query.periods import DEFAULT_PERIOD, PERIODS
from api.sender_health import SENT_LEAST
from schemas.kinds import FIELDS

ALL: Final = "all"
"""Of `fields`: all of them."""
RATES, STATUS, HEALTH = "rates", "status", "health"
"""Of `include`; the last is for a whole tenant alone, as it is the sender that SES watches."""
PREVIOUS, PREVIOUS_YEAR = COMPARISONS = "previous", "previous_year"
LIMITS: Final = range(1, 1001)

_DATE: Final = (
    r"(?:(?:19|20|21)[0-9]{2}-(?:(?:0[13578]|1[02])-(?:0[1-9]|[12][0-9]|3[01])"
    r"|(?:0[469]|11)-(?:0[1-9]|[12][0-9]|30)|02-(?:0[1-9]|1[0-9]|2[0-8])))"
)
_TIME_OF_DAY: Final = r"[T ](?:[01][0-9]|2[0-3]):[0-5][0-9](?::[0-5][0-9](?:\.[0-9]+)?)?"
_OFFSET: Final = r"(?:Z|[+-](?:[01][0-9]|2[0-3]):?[0-5][0-9])?"
_TIME: Final = {
    "type": "string",
    "pattern": f"^{_DATE}(?:{_TIME_OF_DAY}{_OFFSET})?$",
}

Parameters: TypeAlias = Mapping[str, Mapping[str, Any]]
"""Name to its OpenAPI description."""

PARAMETERS: Final[Parameters] = {
    "period": {
        "description": "The length of a point.",
        "schema": {"type": "string", "enum": list(PERIODS), "default": DEFAULT_PERIOD},
        "example": "week",
    },
    "from": {
        "description": "Start, ISO 8601. Default: so that 24 hours, 30 days, 12 weeks or 12 months come.",
        "schema": _TIME,
        "example": "2025-09-01T00:00:00.000Z",
    },
    "to": {
        "description": "End, included, ISO 8601. Default: now.",
        "schema": _TIME,
        "example": "2025-09-15T23:59:59.999Z",
    },
    "timezone": {
        "description": "An IANA zone whose days, weeks and months are meant, and in which a date alone or a "
        "time without an offset is read. Where it lies off the hour in the range, quarters of an hour count "
        "instead of hours, and an hour begins at each full hour of its clocks and where they change. "
        "Default: UTC.",
        "schema": {"type": "string", "format": "iana-timezone"},
        "example": "Europe/Berlin",
    },
    "fields": {
        "description": "Which counts stand in the totals, the points and wherever else there are counts, in "
        "this order, with commas between. `all` alone is all of them. Default: the first six.",
        "schema": {
            "type": "array",
            "items": {"type": "string", "enum": [*FIELDS, ALL]},
            "minItems": 1,
            "uniqueItems": True,
            "anyOf": [{"items": {"enum": list(FIELDS)}}, {"maxItems": 1}],
        },
        "style": "form",
        "explode": False,
        "example": ["sent", "opened_human"],
    },
    "include": {
        "description": "What to add, with commas between: `rates` beside all counts (`hard_bounce`, "
        "`human_open` and `human_click` where their field is among `fields`), `status` to each point "
        "(`partial`: runs past `complete_through`; `provisional`: events may still be counted in it, "
        "until 92 days after its end; `final`).",
        "schema": {"type": "array", "items": {"type": "string", "enum": [RATES, STATUS]}, "minItems": 1},
        "style": "form",
        "explode": False,
        "example": ["rates", "status"],
    },
    "compare": {
        "description": "Adds the totals of another span, and the change since: a part of what it was, null "
        "where that was 0. `previous`: as many whole periods before the first point. `previous_year`: the "
        "same local dates and times a year before (29 February becomes 28), weeks 52 weeks before.",
        "schema": {"type": "string", "enum": list(COMPARISONS)},
        "example": COMPARISONS[0],
    },
    "group_by": {
        "description": "Adds the biggest `groups` (by the sum of the first six fields), and all else as "
        "`others` (mails without one too), so that they add up to the totals. `sequence`, `template`, or "
        "another scope that is counted here.",
        "schema": {
            "type": "string",
            "format": "scope",
            "pattern": "^[a-z][a-z0-9_]{0,31}$",
        },
        "example": "sequence",
    },
    "limit": {
        "description": "How many at most: groups (10 by default, only with `group_by`) or ids (100).",
        "schema": {"type": "integer", "minimum": LIMITS[0], "maximum": LIMITS[-1]},
        "example": 20,
    },
    "cursor": {
        "description": "The `next_cursor` of the page before.",
        "schema": {"type": "string", "format": "cursor"},
        "example": "b25ib2FyZGluZw",
    },
}
"""All that there are, with an example of each."""


def _of(*names: str) -> Parameters:
    return {name: PARAMETERS[name] for name in names}


def _with_health(include: Mapping[str, Any]) -> Mapping[str, Any]:
    """The parameter `include` of the tenant's route."""
    schema = include["schema"]
    words = (
        " `health` adds whether SES would worry about the sender over the range: its `bounce` "
        "(bounced_hard / sent) and `complaint` rates, each `healthy`, `warning`, `critical`, or "
        f"`insufficient_data` where fewer than {SENT_LEAST:,} were sent or nothing was delivered."
    )
    items = {**schema["items"], "enum": [*schema["items"]["enum"], HEALTH]}
    return {**include, "description": include["description"] + words, "schema": {**schema, "items": items}}


SCOPE_PARAMETERS: Final = _of("period", "from", "to", "timezone", "fields", "include", "compare")
TENANT_PARAMETERS: Final = {
    **SCOPE_PARAMETERS,
    "include": _with_health(PARAMETERS["include"]),
    **_of("group_by", "limit"),
}
PAGE_PARAMETERS: Final = _of("limit", "cursor")
"""What each route knows, as it is described there. Any other parameter is refused by name."""


def read_parameters(items: Iterable[tuple[str, str]], known: Collection[str]) -> dict[str, str]:
    """The parameters of a request, each at most once and none empty.

    items: names and values in the order of the query string; known: the parameters of the route.
    Raises: ApiError INVALID_PARAMETER.
    """
    given: dict[str, str] = {}
    for name, value in items:
        if name not in known:
            others = f"Known are {', '.join(known)}." if known else "None is known."
            raise ApiError(INVALID_PARAMETER, f"There is no parameter `{name}` here. {others}", name)
        if name in given:
            raise ApiError(INVALID_PARAMETER, f"`{name}` is given more than once.", name)
        if not value:
            raise ApiError(INVALID_PARAMETER, f"`{name}` is empty. Leave it out for its default.", name)
        given[name] = value
    return given
