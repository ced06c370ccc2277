/** A time: ISO 8601 (a date, or date and time) or a Date. */
export type Instant = string | Date;

export type Period = "hour" | "day" | "week" | "month";
export type Include = "rates" | "status";

/** What the numbers of one sequence or template are asked with. */
export interface ScopeParameters {
  /** The length of a point; `day` by default. */
  period?: Period;
  from?: Instant;
  /** The end, included; now by default. */
  to?: Instant;
  /** An IANA zone whose days, weeks and months are meant; UTC by default. */
  timezone?: string;
  include?: Include | Include[];
  compare?: "previous";
}

/** What the numbers of the whole tenant are asked with. */
export interface MetricsParameters extends ScopeParameters {
  /** `sequence`, `template`, or another scope that the API counts. */
  group_by?: string;
  /** How many groups at most. */
  limit?: number;
}

/** What a page of known ids is asked with. */
export interface PageParameters {
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: string;
}

/** One number for each kind. */
export interface Counts {
  sent: number;
  delivered: number;
  opened: number;
  clicked: number;
  bounced: number;
  complained: number;
}

/** What follows from the counts; null where the base is 0. */
export interface Rates {
  delivery: number | null;
  open: number | null;
  click: number | null;
  bounce: number | null;
  complaint: number | null;
}

/** The counts of one period. */
export interface Point extends Counts {
  /** The period's start, UTC. */
  timestamp: string;
  /** With `include: "rates"`. */
  rates?: Rates;
  /** With `include: "status"`. */
  status?: "partial" | "provisional" | "final";
}

/** The counts of all mails that are in no group. */
export interface Others extends Counts {
  rates?: Rates;
}

/** The counts of one sequence or template. */
export interface Group extends Others {
  id: string;
}

/** The span before. */
export interface Previous {
  from: string;
  to: string;
  totals: Counts;
  rates?: Rates;
}

/** The numbers of a range. What is optional is there where it was asked for. */
export interface Metrics {
  period: Period;
  from: string;
  to: string;
  /** Every event that arrived before it is in the numbers; null before there is one. */
  complete_through: string | null;
  timezone?: string;
  totals: Counts;
  rates?: Rates;
  previous?: Previous;
  /** By which part of what it was each count has grown; null where it was 0. */
  change?: { [kind in keyof Counts]: number | null };
  groups?: Group[];
  others?: Others;
  timeseries: Point[];
}

/** A page of known ids. */
export interface KnownIds {
  items: { id: string }[];
  /** The `cursor` of the next page; null on the last. */
  next_cursor: string | null;
  complete_through: string | null;
}

export interface Options {
  apiKey: string;
  /** Where the API is, without `/api`. */
  baseUrl: string;
  /** How long one attempt may take; 10,000 by default. */
  timeoutMs?: number;
  /** How often more is asked after 429, 503 or no answer; 3 by default. */
  retries?: number;
  /** A longer wait is not waited for, the error is thrown; 30,000 by default. */
  maxWaitMs?: number;
  /** How many answers are held with their tags; 64 by default. */
  cacheSize?: number;
  /** Is told of each retry; `console.warn` by default. */
  log?: (message: string) => void;
}

/** The questions. Each rejects with a KraiterError where there is no answer. */
export interface MetricsMethods {
  /** The numbers of the whole tenant. */
  get(parameters?: MetricsParameters): Promise<Metrics>;
  /** The numbers of one sequence. */
  sequence(id: string, parameters?: ScopeParameters): Promise<Metrics>;
  /** The numbers of one template. */
  template(id: string, parameters?: ScopeParameters): Promise<Metrics>;
  /** A page of the known sequences. */
  sequences(parameters?: PageParameters): Promise<KnownIds>;
  /** A page of the known templates. */
  templates(parameters?: PageParameters): Promise<KnownIds>;
}

/** A client of one API with one key. */
export class Kraiter {
  constructor(options: Options);
  readonly metrics: MetricsMethods;
}

/** The question has no answer. */
export class KraiterError extends Error {}

/** No answer came, also after all retries: look at the network and the base URL. */
export class NotReachedError extends KraiterError {}

/** What answered is not the metrics API, or one that this client does not understand. */
export class UnexpectedAnswerError extends KraiterError {
  readonly status: number;
}

/** The API refused. */
export class ApiError extends KraiterError {
  /** The word to compare. */
  readonly code: string;
  readonly status: number;
  /** What to do about it. */
  readonly detail: string;
  /** The parameter to blame, where it is one. */
  readonly parameter?: string;
  /** Name it when you ask about the answer. */
  readonly requestId?: string;
  /** When the API wants to be asked again, where it said so. */
  readonly retryAfterMs?: number;
}

/** The API key is not valid: use another. */
export class UnauthorizedError extends ApiError {}
/** Nothing was counted for this sequence or template yet. */
export class NotFoundError extends ApiError {}
/** A parameter is wrong: mend the question. */
export class InvalidRequestError extends ApiError {}
/** The key asked too often: ask less. */
export class RateLimitedError extends ApiError {}
/** The numbers cannot be read now: ask later. */
export class UnavailableError extends ApiError {}
