"""The client of the email metrics API: `Kraiter`, and `AsyncKraiter` to be awaited."""

from kraiter.async_client import AsyncKraiter
from kraiter.client import Kraiter
from kraiter.errors import (
    ApiError,
    InvalidRequestError,
    KraiterError,
    NotFoundError,
    NotReachedError,
    RateLimitedError,
    UnauthorizedError,
    UnavailableError,
    UnexpectedAnswerError,
)
from kraiter.questions import MetricsParameters, PageParameters, ScopeParameters
from kraiter.results import Change, Counts, Group, KnownId, KnownIds, Metrics, Others, Point, Previous, Rates

__all__ = [
    "ApiError",
    "AsyncKraiter",
    "Change",
    "Counts",
    "Group",
    "InvalidRequestError",
    "KnownId",
    "KnownIds",
    "Kraiter",
    "KraiterError",
    "Metrics",
    "MetricsParameters",
    "NotFoundError",
    "NotReachedError",
    "Others",
    "PageParameters",
    "Point",
    "Previous",
    "RateLimitedError",
    "Rates",
    "ScopeParameters",
    "UnauthorizedError",
    "UnavailableError",
    "UnexpectedAnswerError",
]
