"""What both clients do, without doing it: which request to send, when to wait, what an answer means.

A question is a generator. It yields an `Attempt`, and is sent the `Answer` or the `Failure` that came of
it; or it yields a `Pause`, and is sent None when that is over. It returns the result or raises a
KraiterError. So there is one set of rules for sync and async, and no I/O in it.

Held answers are never given out unasked: each question goes to the API with the tag of what is held, and
a 304 gives the held numbers with the `complete_through` of now, which stands in its header.
"""

import json
import logging
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, TypeVar, cast

from kraiter.cache import Cache, Held
from kraiter.errors import KraiterError, NotReachedError, UnexpectedAnswerError, error_of
from kraiter.questions import (
    Given,
    MetricsKeywords,
    MetricsParameters,
    PageParameters,
    ScopeKeywords,
    ScopeParameters,
    path_of,
    with_query,
)
from kraiter.results import KnownIds, Metrics, instant_of, read_ids, read_metrics

log = logging.getLogger("kraiter")

Result = TypeVar("Result", Metrics, KnownIds)

OK: Final = 200
NOT_MODIFIED: Final = 304
AGAIN: Final = (429, 503)
"""The statuses after which the same question may succeed."""

FIRST_PAUSE_S: Final = 0.25


@dataclass(frozen=True, slots=True)
class Attempt:
    """Send a GET."""

    url: str
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Pause:
    """Wait."""

    seconds: float


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer. headers: their names are found in any case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


@dataclass(frozen=True, slots=True)
class Failure:
    """No answer came."""

    reason: str


Step = Attempt | Pause
Outcome = Answer | Failure | None
Exchange = Generator[Step, Outcome, Result]
Kind = Literal["sequences", "templates"]


@dataclass(frozen=True, slots=True)
class Options:
    """How a client asks; see `Kraiter`."""

    api_key: str = field(repr=False)
    base_url: str
    retries: int
    max_wait_s: float
    cache_size: int

    def __post_init__(self) -> None:
        """Refuse what could never work."""
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must begin with http:// or https://, not be {self.base_url!r}")
        if min(self.retries, self.cache_size, self.max_wait_s) < 0:
            raise ValueError("retries, cache_size and max_wait_s must not be negative")


class Questions:
    """Makes the exchange of each method of a client. chance: a number from 0 to 1, new at each call."""

    def __init__(self, options: Options, chance: Callable[[], float]) -> None:
        self._options = options
        self._base_url = options.base_url.rstrip("/")
        self._chance = chance
        self._cache = Cache(options.cache_size)

    def tenant(self, parameters: MetricsParameters | None, keywords: MetricsKeywords) -> Exchange[Metrics]:
        """The numbers of the whole tenant."""
        return self._ask(path_of(), _given(parameters), _given(keywords), read_metrics)

    def scope(
        self, kind: Kind, scope_id: str, parameters: ScopeParameters | None, keywords: ScopeKeywords
    ) -> Exchange[Metrics]:
        """The numbers of one sequence or template."""
        return self._ask(path_of(kind, scope_id), _given(parameters), _given(keywords), read_metrics)

    def ids(
        self, kind: Kind, parameters: PageParameters | None, keywords: PageParameters
    ) -> Exchange[KnownIds]:
        """A page of the known sequences or templates."""
        return self._ask(path_of(kind), _given(parameters), _given(keywords), read_ids)

    def _ask(
        self, path: str, parameters: Given, keywords: Given, read: Callable[[Mapping[str, Any]], Result]
    ) -> Exchange[Result]:
        url = self._base_url + with_query(path, parameters, keywords)
        held = self._cache.get(url)
        headers = {"Authorization": f"Bearer {self._options.api_key}", "Accept": "application/json"}
        if held is not None:
            headers["If-None-Match"] = held.tag
        attempt = Attempt(url, headers)
        for retry in range(self._options.retries + 1):
            outcome = yield attempt
            assert outcome is not None, "an attempt has an outcome"
            if isinstance(outcome, Answer) and outcome.status not in AGAIN:
                return self._result(url, outcome, held, read)
            error, asked_s = _trouble(outcome)
            pause_s = max(asked_s, FIRST_PAUSE_S * 2**retry * (0.5 + self._chance() / 2))
            if retry == self._options.retries or pause_s > self._options.max_wait_s:
                raise error
            log.warning("%s; asking again in %.2f s (retry %d)", error, pause_s, retry + 1)
            yield Pause(pause_s)
        raise AssertionError("the last attempt returns or raises")

    def _result(
        self, url: str, answer: Answer, held: Held | None, read: Callable[[Mapping[str, Any]], Result]
    ) -> Result:
        if answer.status == NOT_MODIFIED and held is not None:
            through = answer.headers.get("x-complete-through")
            result = cast("Result", held.result)
            return replace(result, complete_through=None if through is None else instant_of(through))
        if answer.status != OK:
            raise error_of(answer.status, _json(answer.body), None)
        try:
            result = read(json.loads(answer.body))
        except (KeyError, TypeError, ValueError) as error:
            raise UnexpectedAnswerError(answer.status, f"the answer cannot be read: {error!r}") from error
        tag = answer.headers.get("etag")
        if tag is not None:
            self._cache.put(url, Held(tag, result))
        return result


def _trouble(outcome: Answer | Failure) -> tuple[KraiterError, float]:
    """The error to raise if there is no further attempt, and the wait (s) that the API asked for."""
    if isinstance(outcome, Failure):
        return NotReachedError(outcome.reason), 0.0
    text = outcome.headers.get("retry-after", "")
    asked_s = float(text) if text.isascii() and text.isdigit() else None
    return error_of(outcome.status, _json(outcome.body), asked_s), asked_s or 0.0


def _json(body: bytes) -> object:
    try:
        return cast("object", json.loads(body))
    except ValueError:
        return None


def _given(parameters: object) -> Given:
    return cast("Given", parameters or {})
