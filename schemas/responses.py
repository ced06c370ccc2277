"""The bodies of the API's answers.

The page's fields are an outside contract; the counts follow the table of kinds: those of the page, or those
that `fields` names. What is optional here is there when it was asked for, and only then; it is never null.
"""

from typing import Annotated, Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model
from pydantic.json_schema import SkipJsonSchema

from schemas.fields import MEANINGS, RATES, formula_of
from schemas.kinds import CORE_FIELDS, FIELDS

_INSTANT: Final[dict[str, Any]] = {"format": "date-time", "examples": ["2025-09-01T00:00:00.000Z"]}
_CLOSED: Final = ConfigDict(extra="forbid")


def _absent(schema: dict[str, Any]) -> None:
    """Left out where it was not asked for, never null."""
    schema.pop("default", None)


Count = Annotated[int, Field(ge=0)]
MaybeCount = Annotated[Count | SkipJsonSchema[None], Field(json_schema_extra=_absent)]
_COUNTS: Final[dict[str, Any]] = {
    name: (MaybeCount, Field(default=None, description=MEANINGS[name].description)) for name in FIELDS
}
_EACH: Final[dict[str, Any]] = {
    name: (
        float | None,
        Field(description=formula_of(name))
        if part in CORE_FIELDS
        else Field(
            default=None,
            description=f"{formula_of(name)}; where `{part}` is among the fields.",
            json_schema_extra=_absent,
        ),
    )
    for name, (part, _) in RATES.items()
}

Counts = create_model(
    "Counts",
    __doc__="One number for each of the `fields`, in their order; without them for the first six.",
    __config__=_CLOSED,
    **_COUNTS,
)
Rates = create_model(
    "Rates",
    __doc__="What follows from the counts. A rate is null where its base is 0.",
    __config__=_CLOSED,
    **_EACH,
)
MaybeRates = Annotated[
    Rates | SkipJsonSchema[None],
    Field(description="With `include=rates`.", json_schema_extra=_absent),
]
Status = Literal["partial", "provisional", "final"]
MaybeStatus = Annotated[
    Status | SkipJsonSchema[None],
    Field(
        description="With `include=status`: whether the point runs past `complete_through`, may still get "
        "opens and clicks, or neither.",
        json_schema_extra=_absent,
    ),
]
_RATES: Final[dict[str, Any]] = {"rates": (MaybeRates, None)}
_STATUS: Final[dict[str, Any]] = {"status": (MaybeStatus, None)}
_CHANGES: Final[dict[str, Any]] = {
    name: (float | None, Field(default=None, description=f"Of `{name}`.", json_schema_extra=_absent))
    for name in FIELDS
}

Point = create_model(
    "Point",
    __doc__="The counts of one period.",
    __config__=_CLOSED,
    timestamp=(str, Field(description="The period's start, UTC.", json_schema_extra=_INSTANT)),
    **_COUNTS,
    **_RATES,
    **_STATUS,
)
Group = create_model(
    "Group",
    __doc__="The counts of one id of the scope in the range, such as a sequence.",
    __config__=_CLOSED,
    id=(str, Field(description="The id.")),
    **_COUNTS,
    **_RATES,
)
Others = create_model(
    "Others",
    __doc__="The counts of all mails of the range that are in none of the groups given.",
    __config__=_CLOSED,
    **_COUNTS,
    **_RATES,
)
Change = create_model(
    "Change",
    __doc__="By which part of what it was each count has grown: 0.25 is a quarter more, null if it was 0.",
    __config__=_CLOSED,
    **_CHANGES,
)

HealthStatus = Literal["healthy", "warning", "critical", "insufficient_data"]


class WatchedRate(BaseModel):
    """A rate that SES watches."""

    model_config = _CLOSED

    rate: float | None = Field(description="Null where nothing can be said.")
    status: HealthStatus


class SenderHealth(BaseModel):
    """Whether SES would worry about the sender, over the range."""

    model_config = _CLOSED

    bounce: WatchedRate = Field(description="bounced_hard / sent")
    complaint: WatchedRate = Field(description="complained / delivered")


CompleteThrough = Annotated[
    str | None,
    Field(
        description="Every event that Kafka had before this instant is in the numbers. It moves on while "
        "nothing happens and stands still when the pipeline does; null before there is one.",
        json_schema_extra=_INSTANT,
    ),
]


class Previous(BaseModel):
    """What is compared with: the whole periods before the first point, or the same dates a year before."""

    model_config = _CLOSED

    from_: str = Field(alias="from", description="Its start, UTC.", json_schema_extra=_INSTANT)
    to: str = Field(description="Its end, included, UTC.", json_schema_extra=_INSTANT)
    totals: Counts
    rates: MaybeRates = None


class Metrics(BaseModel):
    """The answer of all metrics routes. The totals are the sums of the points."""

    model_config = _CLOSED

    period: Literal["hour", "day", "week", "month"]
    from_: str = Field(alias="from", description="Start of the range, UTC.", json_schema_extra=_INSTANT)
    to: str = Field(description="End of the range, included, UTC.", json_schema_extra=_INSTANT)
    complete_through: CompleteThrough
    timezone: str | SkipJsonSchema[None] = Field(
        default=None, description="As it was given.", json_schema_extra=_absent
    )
    totals: Counts
    rates: MaybeRates = None
    health: SenderHealth | SkipJsonSchema[None] = Field(
        default=None, description="With `include=health`, of a whole tenant.", json_schema_extra=_absent
    )
    previous: Previous | SkipJsonSchema[None] = Field(
        default=None, description="With `compare`.", json_schema_extra=_absent
    )
    change: Change | SkipJsonSchema[None] = Field(
        default=None, description="With `compare`.", json_schema_extra=_absent
    )
    groups: list[Group] | SkipJsonSchema[None] = Field(
        default=None,
        description="With `group_by`: the biggest, by the sum of the first six fields.",
        json_schema_extra=_absent,
    )
    others: Others | SkipJsonSchema[None] = Field(
        default=None,
        description="With `group_by`: all that is in no group.",
        json_schema_extra=_absent,
    )
    timeseries: list[Point]


class KnownId(BaseModel):
    """An id for which something was counted, such as a sequence's."""

    model_config = _CLOSED

    id: str


class KnownIds(BaseModel):
    """A page of known ids."""

    model_config = _CLOSED

    items: list[KnownId]
    next_cursor: str | None = Field(description="The `cursor` of the next page; null on the last.")
    complete_through: CompleteThrough


class GlossaryRate(BaseModel):
    """A rate that a field is the part of."""

    model_config = _CLOSED

    name: str = Field(description="As it is called in `rates`.")
    formula: str = Field(description="Part and base, as names of fields: `opened / delivered`.")


class GlossaryField(BaseModel):
    """What one field means."""

    model_config = _CLOSED

    name: str
    description: str
    unit: Literal["recipients", "messages"] = Field(description="What it counts.")
    family: str = Field(description="`core`: the six that come by default.")
    horizon_days: int = Field(description="Days after the send, after which nothing more is counted in it.")
    rate: GlossaryRate | None


class Watch(BaseModel):
    """How a rate of `include=health` is judged."""

    model_config = _CLOSED

    formula: str
    warning: float = Field(description="The rate from which on the status is `warning`.")
    critical: float = Field(description="The rate from which on it is `critical`.")


class HealthRule(BaseModel):
    """How `include=health` judges."""

    model_config = _CLOSED

    sent_at_least: int = Field(description="With fewer sent the status is `insufficient_data`.")
    bounce: Watch
    complaint: Watch


class Glossary(BaseModel):
    """What the numbers mean: each field, in the order of `fields=all`, and the rule of health."""

    model_config = _CLOSED

    fields_: list[GlossaryField] = Field(alias="fields")
    health: HealthRule
