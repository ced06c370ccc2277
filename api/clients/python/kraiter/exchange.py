"""What both clients do, without doing it: which request to send, when to wait, what an answer means.

A question is a generator. It yields an `Attempt`, and is sent the `Answer` or the `Failure` that came of
it; or it yields a `Pause`, and is sent None when that is over. It returns the result or raises a
KraiterError. So there is one set of rules for sync and async, and no I/O in it.

Held answers are never given out unasked: each question goes to the API with the tag of what is held, and
a 304 gives the held numbers with the `complete_through` of now, which stands in its header.
"""

import json
import logging
import re
from collections.abc import Callable, Generator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import Any, Final, TypeVar, cast

from kraiter.cache import Cache, Held
from kraiter.counts import Field
from kraiter.errors import KraiterError, NotReachedError, UnexpectedAnswerError, error_of
from kraiter.questions import asked_fields, path_of, query_of, with_query
from kraiter.reading import Raw, instant_of, read_glossary, read_ids, read_metrics
from kraiter.results import Glossary, KnownIds, Metrics

log = logging.getLogger("kraiter")

Result = TypeVar("Result")

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


@dataclass(frozen=True, slots=True)
class Options:
    """How a client asks; see `Kraiter`."""

    api_key: str = field(repr=False)
    base_url: str
    retries: int
    max_wait_s: float
    cache_size: int

    def __post_init__(self) -> None:
        """Refuse what could never work. The key is in no message."""
        if not re.fullmatch(r"[!-~]+", self.api_key):
            raise ValueError("api_key must be a key as it was printed, without spaces or line ends")
        if not self.base_url.startswith(("http://", "https://")):
            raise ValueError(f"base_url must begin with http:// or https://, not be {self.base_url!r}")
        if min(self.retries, self.cache_size, self.max_wait_s) < 0:
            raise ValueError("retries, cache_size and max_wait_s must not be negative")


class Questions:
    """Makes the exchanges of a client. chance: a number from 0 to 1, new at each call.

    parts: of the path, behind `/api/metrics`; parameters, keywords: see `kraiter.questions.query_of`.
    """

    def __init__(self, options: Options, chance: Callable[[], float]) -> None:
        self._options = options
        self._base_url = options.base_url.rstrip("/")
        self._chance = chance
        self._cache = Cache(options.cache_size)

    def metrics(self, *parts: str, parameters: object, keywords: object) -> Exchange[Metrics[Field]]:
        """The numbers of a scope."""
        query = query_of(_given(parameters), _given(keywords))
        return self._ask(with_query(path_of(*parts), query), partial(read_metrics, asked=asked_fields(query)))

    def ids(self, *parts: str, parameters: object, keywords: object) -> Exchange[KnownIds]:
        """A page of a listing."""
        return self._ask(
            with_query(path_of(*parts), query_of(_given(parameters), _given(keywords))), read_ids
        )

    def glossary(self) -> Exchange[Glossary]:
        """What the fields mean."""
        return self._ask(path_of("fields"), read_glossary)

    def _ask(self, path: str, read: Callable[[Raw], Result]) -> Exchange[Result]:
        url = self._base_url + path
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

    def _result(self, url: str, answer: Answer, held: Held | None, read: Callable[[Raw], Result]) -> Result:
        if answer.status == NOT_MODIFIED and held is not None:
            through = answer.headers.get("x-complete-through")
            return cast("Result", _fresh(held.result, None if through is None else instant_of(through)))
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


def _fresh(held: Any, through: datetime | None) -> Any:
    """A held result with the `complete_through` of now; a glossary has none."""
    return held if isinstance(held, Glossary) else replace(held, complete_through=through)


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


def _given(parameters: object) -> Mapping[str, object]:
    """A TypedDict as the mapping that it is."""
    return cast("Mapping[str, object]", parameters or {})
