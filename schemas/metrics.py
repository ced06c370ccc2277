"""The body of a metrics answer. Its fields are an outside contract; the counts follow the table of kinds."""

from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, create_model

from schemas.kinds import FIELDS

_DESCRIPTIONS: Final = {
    "sent": "Mails handed to SES, by recipient.",
    "delivered": "Mails that the recipient's mail server took, by recipient.",
    "opened": "Unique opens, by message.",
    "clicked": "Unique clicks, by message.",
    "bounced": "Hard and soft bounces, by recipient.",
    "complained": "Spam complaints, by recipient.",
}
_COUNTS: Final[dict[str, Any]] = {
    name: (int, Field(ge=0, description=_DESCRIPTIONS[name])) for name in FIELDS
}
_INSTANT: Final[dict[str, Any]] = {"format": "date-time", "examples": ["2025-09-01T00:00:00.000Z"]}

Counts = create_model("Counts", __doc__="One number for each kind.", **_COUNTS)

Point = create_model(
    "Point",
    __doc__="The counts of one period.",
    timestamp=(str, Field(description="The period's start, UTC.", json_schema_extra=_INSTANT)),
    **_COUNTS,
)


class Metrics(BaseModel):
    """The answer of all metrics routes. The totals are the sums of the points."""

    model_config = ConfigDict(extra="forbid")

    period: Literal["hour", "day", "week", "month"]
    from_: str = Field(alias="from", description="Start of the range, UTC.", json_schema_extra=_INSTANT)
    to: str = Field(description="End of the range, included, UTC.", json_schema_extra=_INSTANT)
    totals: Counts
    timeseries: list[Point]
