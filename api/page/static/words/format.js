// Numbers and times as words. Pure: the clock and the zone come in as arguments.

export const NOTHING = "–"; // where there is no number: it is not 0

const WHOLE = new Intl.NumberFormat("en");
const SHORT = new Intl.NumberFormat("en", { notation: "compact", maximumFractionDigits: 1 });
const PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 1 });
const FINE_PERCENT = new Intl.NumberFormat("en", { style: "percent", maximumFractionDigits: 2 });
const SMALL = 0.01;

export const count = (number) => (number === undefined ? NOTHING : WHOLE.format(number));
export const shortCount = (number) => SHORT.format(number);

/** A rate; one without a base is null and has no number. */
export function rate(part) {
  if (part === undefined || part === null) return NOTHING;
  return (part < SMALL ? FINE_PERCENT : PERCENT).format(part);
}

/** By how much a count has changed. before: what it was; part: the change as the API gives it, null where it was 0. */
export function change(before, part) {
  if (part === null || before === 0) return `before: ${count(before)}`;
  if (part === 0) return `as before: ${count(before)}`;
  return `${part > 0 ? "▲" : "▼"} ${rate(Math.abs(part))} from ${count(before)}`;
}

const LABELS = {
  hour: { weekday: "short", day: "numeric", month: "short", hour: "2-digit", minute: "2-digit" },
  day: { weekday: "short", day: "numeric", month: "short", year: "numeric" },
  week: { day: "numeric", month: "short", year: "numeric" },
  month: { month: "long", year: "numeric" },
};

/** The name of a point. timestamp: its start, ISO 8601. */
export function point(timestamp, period, zone) {
  const text = new Intl.DateTimeFormat("en-GB", { ...LABELS[period], timeZone: zone }).format(new Date(timestamp));
  return period === "week" ? `Week of ${text}` : text;
}

const TICKS = {
  hour: { hour: "2-digit", minute: "2-digit" },
  day: { day: "numeric", month: "short" },
  week: { day: "numeric", month: "short" },
  month: { month: "short", year: "numeric" },
};

/** What stands below a point on the axis; the hour at which a day begins has its date. */
export function tick(ms, period, zone) {
  const text = new Intl.DateTimeFormat("en-GB", { ...TICKS[period], timeZone: zone }).format(ms);
  return text === "00:00" ? tick(ms, "day", zone) : text;
}

/** HH:MM:SS, with the date where that is not today's. */
export function moment(ms, nowMs, zone) {
  const time = new Intl.DateTimeFormat("en-GB", { timeStyle: "medium", timeZone: zone }).format(ms);
  const day = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeZone: zone });
  return day.format(ms) === day.format(nowMs) ? time : `${day.format(ms)}, ${time}`;
}

/** From when to when, by the clocks of a zone. */
export function span(from, to, zone) {
  const words = new Intl.DateTimeFormat("en-GB", { dateStyle: "medium", timeStyle: "short", timeZone: zone });
  return `${words.format(new Date(from))} to ${words.format(new Date(to))}`;
}

/** How long ago. */
export function ago(ms) {
  const seconds = Math.max(0, Math.round(ms / 1000));
  if (seconds < 120) return `${seconds} s ago`;
  if (seconds < 7200) return `${Math.floor(seconds / 60)} min ago`;
  if (seconds < 172_800) return `${Math.floor(seconds / 3600)} h ago`;
  return `${Math.floor(seconds / 86_400)} days ago`;
}
