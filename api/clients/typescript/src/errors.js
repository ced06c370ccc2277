// What can go wrong, named for what the caller does next. The types say more: index.d.ts.

export class KraiterError extends Error {
  constructor(message, options) {
    super(message, options);
    this.name = new.target.name;
  }
}

export class NotReachedError extends KraiterError {}

export class UnexpectedAnswerError extends KraiterError {
  constructor(status, why, options) {
    super(`${why} (status ${status})`, options);
    this.status = status;
  }
}

export class ApiError extends KraiterError {
  constructor(code, status, { detail, parameter, request_id: requestId }, retryAfterMs) {
    super(`${code}: ${detail}`);
    this.code = code;
    this.status = status;
    this.detail = detail;
    this.parameter = parameter;
    this.requestId = requestId;
    this.retryAfterMs = retryAfterMs;
  }
}

export class UnauthorizedError extends ApiError {}
export class NotFoundError extends ApiError {}
export class InvalidRequestError extends ApiError {}
export class RateLimitedError extends ApiError {}
export class UnavailableError extends ApiError {}

const BY_CODE = new Map([
  ["UNAUTHORIZED", UnauthorizedError],
  ["NOT_FOUND", NotFoundError],
  ["INVALID_PERIOD", InvalidRequestError],
  ["INVALID_RANGE", InvalidRequestError],
  ["RANGE_TOO_LARGE", InvalidRequestError],
  ["INVALID_PARAMETER", InvalidRequestError],
  ["INVALID_TIMEZONE", InvalidRequestError],
  ["RATE_LIMITED", RateLimitedError],
  ["UNAVAILABLE", UnavailableError],
]);

// The code of an answer that has none: one that a proxy gave in the API's place.
const BY_STATUS = new Map([
  [429, "RATE_LIMITED"],
  [503, "UNAVAILABLE"],
]);

/** The error that an answer means. body: its text; retryAfterMs: undefined where the API did not say. */
export function errorOf(status, body, retryAfterMs) {
  const problem = objectIn(body);
  const code = problem.code ?? BY_STATUS.get(status);
  if (typeof code !== "string") {
    return new UnexpectedAnswerError(status, "the answer is not one of the metrics API: check the base URL");
  }
  const Kind = BY_CODE.get(code) ?? ApiError;
  return new Kind(code, status, { detail: "there is no word on why", ...problem }, retryAfterMs);
}

function objectIn(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null ? value : {};
  } catch (error) {
    if (error instanceof SyntaxError) return {};
    throw error;
  }
}
