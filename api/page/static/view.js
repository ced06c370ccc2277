// What is shown: its words in the address (after #, so that it can be kept and sent; the key is never in it), and
// the question to the API that it means. Pure.

export const RANGES = {
  "24h": { period: "hour" },
  "7d": { period: "day", days: 7 },
  "30d": { period: "day", days: 30 },
  "90d": { period: "week", days: 90 },
  "12m": { period: "month", months: 12 },
  custom: { period: "day" },
};
export const PERIODS = ["hour", "day", "week", "month"];
export const FIRST = { range: "7d", period: "day", zone: "UTC", sequence: "", template: "", from: "", to: "" };

const HOUR_MS = 3_600_000;
const MINUTE_MS = 60_000;

/** The view that an address names; what it does not name, or names wrongly, is as at first. */
export function readView(hash, zones) {
  const named = new URLSearchParams(hash.replace(/^#/, ""));
  const view = { ...FIRST };
  for (const name of Object.keys(FIRST)) view[name] = named.get(name) ?? FIRST[name];
  if (!Object.hasOwn(RANGES, view.range)) view.range = FIRST.range;
  if (!PERIODS.includes(view.period)) view.period = RANGES[view.range].period;
  if (!zones.includes(view.zone)) view.zone = FIRST.zone;
  if (view.sequence !== "") view.template = ""; // the API counts for one or the other
  return view;
}

/** The words of a view, without those that are as at first. */
export function writeView(view) {
  const named = Object.entries(view).filter(([name, value]) => name === "period" || value !== FIRST[name]);
  return `#${new URLSearchParams(named)}`;
}

/** The path and query that ask for a view; undefined where an id cannot be asked for in a URL. */
export function questionOf(view, nowMs) {
  const id = view.sequence || view.template;
  if (id === "." || id === "..") return undefined; // a browser takes them, encoded too, for a way up
  const kind = view.sequence === "" ? "templates" : "sequences";
  const path = id === "" ? "" : `/${kind}/${encodeURIComponent(id)}`;
  const query = new URLSearchParams({ period: view.period, include: "rates,status", ...spanOf(view, nowMs) });
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

/** The date so many days before today, as the clocks of a zone say today. */
export function dayBefore(nowMs, zone, days) {
  const { year, month, day } = dateIn(nowMs, zone);
  return new Date(Date.UTC(year, month - 1, day - days)).toISOString().slice(0, 10);
}

/** When the hour began that the clocks of a zone show. */
function startOfHour(nowMs, zone) {
  const minutes = Number(new Intl.DateTimeFormat("en", { minute: "numeric", timeZone: zone }).format(nowMs));
  return Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - minutes * MINUTE_MS;
}

function monthBefore(nowMs, zone, months) {
  const { year, month } = dateIn(nowMs, zone);
  return new Date(Date.UTC(year, month - 1 - months, 1)).toISOString().slice(0, 10);
}

function dateIn(ms, zone) {
  const format = new Intl.DateTimeFormat("en", { year: "numeric", month: "numeric", day: "numeric", timeZone: zone });
  return Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
}
