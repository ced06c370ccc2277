// The questions to the API that a view means: a path and its query. Pure.

import { dayBefore, monthBefore, startOfHour } from "../view/dates.js";
import { RANGES } from "../view/view.js";
import { COLUMNS } from "../words/kinds.js";

export const MOST_GROUPS = 20;

const HOUR_MS = 3_600_000;
const FIELDS = COLUMNS.map(({ field }) => field).join(",");

/** The numbers of a view; undefined where its id cannot be asked for in a URL. */
export function numbersOf(view, nowMs) {
  const include = view.id === "" ? "rates,status,health" : "rates,status";
  const compare = view.compare === "none" ? {} : { compare: view.compare };
  return pointsOf(view, { ...spanOf(view, nowMs), include, ...compare });
}

/** The points alone of a view, as they are to be kept. */
export const tableOf = (view, nowMs) => pointsOf(view, { ...spanOf(view, nowMs), include: "rates,status" });

/** The points of the span before. previous: as an answer has it. */
export const beforeOf = (view, { from, to }) => pointsOf(view, { from, to, include: "rates" });

/** The groups of a view: of all mail, whichever of them is looked into. */
export function groupsOf(view, nowMs) {
  const groups = { group_by: view.by, limit: String(MOST_GROUPS), include: "rates" };
  const span = spanOf(view, nowMs);
  const period = span.from === undefined ? view.period : "month"; // few points, as nobody looks at them
  return pointsOf({ ...view, id: "", period }, { ...span, ...groups });
}

/** The ids of a scope. */
export const idsOf = (scope) => `/api/metrics/by/${scope}`;

export const SCOPES = "/api/metrics/by";
export const MEANINGS = "/api/metrics/fields";

function pointsOf(view, more) {
  if (view.id === "." || view.id === "..") return undefined; // a browser takes them, encoded too, for a way up
  const path = view.id === "" ? "" : `/by/${view.by}/${encodeURIComponent(view.id)}`;
  const query = new URLSearchParams({ period: view.period, ...more, fields: FIELDS });
  if (view.zone !== "UTC") query.set("timezone", view.zone);
  return `/api/metrics${path}?${query}`;
}

/** `from` and `to` as the API takes them. They change at most once an hour, so that a poll asks the same again. */
function spanOf(view, nowMs) {
  const { days, months } = RANGES[view.range];
  if (days !== undefined) return { from: dayBefore(nowMs, view.zone, days - 1) };
  if (months !== undefined) return { from: monthBefore(nowMs, view.zone, months - 1) };
  if (view.range === "24h") return { from: new Date(startOfHour(nowMs, view.zone) - 23 * HOUR_MS).toISOString() };
  return Object.fromEntries(["from", "to"].filter((name) => view[name] !== "").map((name) => [name, view[name]]));
}
