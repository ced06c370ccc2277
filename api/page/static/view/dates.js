// Dates by the clocks of a zone. Pure.

const MINUTE_MS = 60_000;

/** The date so many days before today, as the clocks of a zone say today. */
export function dayBefore(nowMs, zone, days) {
  const { year, month, day } = dateIn(nowMs, zone);
  return new Date(Date.UTC(year, month - 1, day - days)).toISOString().slice(0, 10);
}

/** The first day of the month so many months before this one. */
export function monthBefore(nowMs, zone, months) {
  const { year, month } = dateIn(nowMs, zone);
  return new Date(Date.UTC(year, month - 1 - months, 1)).toISOString().slice(0, 10);
}

/** When the hour began that the clocks of a zone show. */
export function startOfHour(nowMs, zone) {
  const minutes = Number(new Intl.DateTimeFormat("en", { minute: "numeric", timeZone: zone }).format(nowMs));
  return Math.floor(nowMs / MINUTE_MS) * MINUTE_MS - minutes * MINUTE_MS;
}

function dateIn(ms, zone) {
  const format = new Intl.DateTimeFormat("en", { year: "numeric", month: "numeric", day: "numeric", timeZone: zone });
  return Object.fromEntries(format.formatToParts(ms).map(({ type, value }) => [type, Number(value)]));
}
