"""What can go wrong, named for what the caller does next."""

from collections.abc import Mapping
from typing import Final


class KraiterError(Exception):
    """The question has no answer."""


class NotReachedError(KraiterError):
    """No answer came, also after all retries: look at the network and the base URL."""


class UnexpectedAnswerError(KraiterError):
    """What answered is not the metrics API, or one that this client does not understand.

    status: the HTTP status.
    """

    def __init__(self, status: int, why: str) -> None:
        super().__init__(f"{why} (status {status})")
        self.status = status


class ApiError(KraiterError):
    """The API refused.

    code: the word to compare; status: the HTTP status; detail: what to do about it; parameter: the one to
    blame, where it is one; request_id: name it when you ask about the answer; retry_after_s: when the API
    wants to be asked again, where it said so.
    """

    def __init__(
        self,
        code: str,
        status: int,
        detail: str,
        *,
        parameter: str | None = None,
        request_id: str | None = None,
        retry_after_s: float | None = None,
    ) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code
        self.status = status
        self.detail = detail
        self.parameter = parameter
        self.request_id = request_id
        self.retry_after_s = retry_after_s


class UnauthorizedError(ApiError):
    """The API key is not valid: use another."""


class NotFoundError(ApiError):
    """Nothing was counted for this sequence or template yet."""


class InvalidRequestError(ApiError):
    """A parameter is wrong: mend the question."""


class RateLimitedError(ApiError):
    """The key asked too often: ask less."""


class UnavailableError(ApiError):
    """The numbers cannot be read now: ask later."""


_BY_CODE: Final[Mapping[str, type[ApiError]]] = {
    "UNAUTHORIZED": UnauthorizedError,
    "NOT_FOUND": NotFoundError,
    "INVALID_PERIOD": InvalidRequestError,
    "INVALID_RANGE": InvalidRequestError,
    "RANGE_TOO_LARGE": InvalidRequestError,
    "INVALID_PARAMETER": InvalidRequestError,
    "INVALID_TIMEZONE": InvalidRequestError,
    "RATE_LIMITED": RateLimitedError,
    "UNAVAILABLE": UnavailableError,
}

_BY_STATUS: Final[Mapping[int, str]] = {429: "RATE_LIMITED", 503: "UNAVAILABLE"}
"""The code of an answer that has none: one that a proxy gave in the API's place."""


def error_of(status: int, body: object, retry_after_s: float | None) -> KraiterError:
    """The error that an answer means.

    body: the decoded JSON; None where it was none.
    """
    problem = body if isinstance(body, dict) else {}
    code = problem.get("code", _BY_STATUS.get(status))
    if not isinstance(code, str):
        return UnexpectedAnswerError(status, "the answer is not one of the metrics API: check the base URL")
    return _BY_CODE.get(code, ApiError)(
        code,
        status,
        str(problem.get("detail", "there is no word on why")),
        parameter=problem.get("parameter"),
        request_id=problem.get("request_id"),
        retry_after_s=retry_after_s,
    )
