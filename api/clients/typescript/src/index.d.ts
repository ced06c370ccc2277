/** A time: ISO 8601 (a date, or date and time) or a Date. */
export type Instant = string | Date;

export type Period = "hour" | "day" | "week" | "month";
export type Include = "rates" | "status";
/** What the numbers of the whole tenant may have beside them. */
export type TenantInclude = Include | "health";

/** The fields that an answer has when no others are asked for. */
export type CoreField = "sent" | "delivered" | "opened" | "clicked" | "bounced" | "complained";

/** All that the API counts; `metrics.fields()` says what each means. */
export type Field =
  | CoreField
  | "bounced_hard"
  | "suppressed"
  | "bounced_soft"
  | "bounced_undetermined"
  | "delayed"
  | "rejected"
  | "rendering_failed"
  | "unsubscribed"
  | "opened_human"
  | "clicked_human";

/** What may be asked for: one field, some, or all. */
export type Fields = Field | "all" | readonly Field[];

/** A scope: the names of further ones are settings of the installation, and `metrics.scopes()` lists them. */
export type Scope = "sequence" | "template" | (string & {});

/** What the numbers of one id, such as a sequence, are asked with. */
export interface ScopeParameters<F extends Fields | undefined = undefined> {
  /** The length of a point; `day` by default. */
  period?: Period;
  from?: Instant;
  /** The end, included; now by default. */
  to?: Instant;
  /** An IANA zone whose hours, days, weeks and months are meant; UTC by default. */
  timezone?: string;
  /** The fields, in this order; the six of `CoreField` by default. */
  fields?: F;
  include?: Include | readonly Include[];
  /** The span before, or the same dates a year before. */
  compare?: "previous" | "previous_year";
}

/** What the numbers of the whole tenant are asked with. */
export interface MetricsParameters<F extends Fields | undefined = undefined>
  extends Omit<ScopeParameters<F>, "include"> {
  include?: TenantInclude | readonly TenantInclude[];
  group_by?: Scope;
  /** How many groups at most. */
  limit?: number;
}

/** What a page of known ids is asked with. */
export interface PageParameters {
  limit?: number;
  /** The `next_cursor` of the page before. */
  cursor?: string;
}

/** One number for each field. */
export type Counts<F extends Field = CoreField> = { [field in F]: number };

/**
 * The counts that were asked for with `fields`. Of a list whose length only the running program knows, each may
 * be there or not.
 */
export type CountsOf<F extends Fields | undefined> = F extends readonly Field[]
  ? number extends F["length"]
    ? Partial<Counts<F[number]>>
    : Counts<F[number]>
  : F extends "all"
    ? Counts<Field>
    : F extends Field
      ? Counts<F>
      : Counts;

/** What follows from the counts; null where the base is 0. */
export interface Rates {
  delivery: number | null;
  open: number | null;
  click: number | null;
  bounce: number | null;
  complaint: number | null;
  /** With the field `bounced_hard`. */
  hard_bounce?: number | null;
  /** With the field `opened_human`. */
  human_open?: number | null;
  /** With the field `clicked_human`. */
  human_click?: number | null;
}

/** The counts of one period. C: the counts. */
export type Point<C = Counts> = C & {
  /** The period's start, UTC. */
  timestamp: string;
  /** With `include: "rates"`. */
  rates?: Rates;
  /** With `include: "status"`. */
  status?: "partial" | "provisional" | "final";
};

/** The counts of all mails that are in no group. */
export type Others<C = Counts> = C & { rates?: Rates };

/** The counts of one id of a scope, such as one sequence. */
export type Group<C = Counts> = Others<C> & { id: string };

/** By which part of what it was each count has grown; null where it was 0. */
export type Change<C = Counts> = { [field in keyof C]: number | null };

/** The span that is compared with. */
export interface Previous<C = Counts> {
  from: string;
  to: string;
  totals: C;
  rates?: Rates;
}

/** A rate that providers watch; null where too few were sent to say. */
export interface HealthRate {
  rate: number | null;
  status: "healthy" | "warning" | "critical" | "insufficient_data";
}

/** How a sender stands. */
export interface Health {
  /** bounced_hard / sent */
  bounce: HealthRate;
  /** complained / delivered */
  complaint: HealthRate;
}

/** The numbers of a range. What is optional is there where it was asked for. C: the counts. */
export interface Metrics<C = Counts> {
  period: Period;
  from: string;
  to: string;
  /** Every event that arrived before it is in the numbers; null before there is one. */
  complete_through: string | null;
  timezone?: string;
  totals: C;
  rates?: Rates;
  /** With `include: "health"`. */
  health?: Health;
  previous?: Previous<C>;
  change?: Change<C>;
  groups?: Group<C>[];
  others?: Others<C>;
  timeseries: Point<C>[];
}

/** The rates as columns. */
export type RateColumns = { [name in keyof Rates as `${name}_rate`]?: number | null };

/** A point as a flat row. */
export type Row<C = Counts> = C & { timestamp: string; status?: Point["status"] } & RateColumns;

/** A group as a flat row; the id of the others is null. */
export type GroupRow<C = Counts> = C & { id: string | null } & RateColumns;

/** The points as flat rows, all with the same keys. */
export function rows<C>(metrics: Metrics<C>): Row<C>[];

/**
 * The groups and the others as flat rows, which add up to the totals.
 * @throws TypeError where no groups were asked for.
 */
export function groupRows<C>(metrics: Metrics<C>): GroupRow<C>[];

/** A page of known ids. */
export interface KnownIds {
  items: { id: string }[];
  /** The `cursor` of the next page; null on the last. */
  next_cursor: string | null;
  complete_through: string | null;
}

/** What a field counts. */
export interface FieldMeaning {
  name: string;
  description: string;
  unit: "recipients" | "messages";
  family: "core" | "details";
  /** What comes later than this after the send is not counted. */
  horizon_days: number;
  /** The rate of which the field is the numerator. */
  rate: { name: string; formula: string } | null;
}

/** From which rate on a sender's health is `warning`, and from which it is `critical`. */
export interface Thresholds {
  formula: string;
  warning: number;
  critical: number;
}

/** What this API counts, in its own words, and how it judges `health`. */
export interface Glossary {
  fields: FieldMeaning[];
  health: { sent_at_least: number; bounce: Thresholds; complaint: Thresholds };
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
  get<const F extends Fields | undefined = undefined>(parameters?: MetricsParameters<F>): Promise<Metrics<CountsOf<F>>>;
  /** The numbers of one sequence. */
  sequence<const F extends Fields | undefined = undefined>(
    id: string,
    parameters?: ScopeParameters<F>,
  ): Promise<Metrics<CountsOf<F>>>;
  /** The numbers of one template. */
  template<const F extends Fields | undefined = undefined>(
    id: string,
    parameters?: ScopeParameters<F>,
  ): Promise<Metrics<CountsOf<F>>>;
  /** The numbers of one id of any scope, such as one campaign. */
  by<const F extends Fields | undefined = undefined>(
    scope: Scope,
    id: string,
    parameters?: ScopeParameters<F>,
  ): Promise<Metrics<CountsOf<F>>>;
  /** A page of the known sequences. */
  sequences(parameters?: PageParameters): Promise<KnownIds>;
  /** A page of the known templates. */
  templates(parameters?: PageParameters): Promise<KnownIds>;
  /** A page of the known ids of any scope. */
  ids(scope: Scope, parameters?: PageParameters): Promise<KnownIds>;
  /** All known ids of a scope, page after page. */
  allIds(scope: Scope): AsyncGenerator<string, void, undefined>;
  /** The scopes that are counted: `sequence`, `template` and further ones. */
  scopes(): Promise<KnownIds>;
  /** What each field counts, the formula of its rate, and how health is judged. */
  fields(): Promise<Glossary>;
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
