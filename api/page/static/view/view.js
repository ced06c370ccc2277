// What is shown, and its words in the address: after #, so that it can be kept, sent and gone back to, and is never
// sent to a server. The key is not among them. Pure.
//
// A view: range, and from and to where they are a person's own; period of a point; zone; compare (with what); by
// (the scope whose groups are listed) and id (the one of them that is looked into, "" for all mail); sort (of the
// groups: a column, and `-` before it where the least come first).

import { SCOPE_SHAPE } from "../words/scopes.js";

export const RANGES = {
  "24h": { period: "hour" },
  "7d": { period: "day", days: 7 },
  "30d": { period: "day", days: 30 },
  "90d": { period: "week", days: 90 },
  "12m": { period: "month", months: 12 },
  custom: { period: "day" },
};
export const PERIODS = ["hour", "day", "week", "month"];
export const COMPARISONS = ["previous", "previous_year", "none"];

const RARE = { id: "", from: "", to: "", sort: "sent" }; // these stand in an address only where they say more

/** The view at first. zone: that of the device. */
export const firstView = (zone) => ({ range: "7d", period: "day", zone, compare: "previous", by: "sequence", ...RARE });

/**
 * The view that an address names; what it does not name, or names wrongly, is as at first.
 * isZone(name): whether there is such a zone.
 */
export function readView(hash, first, isZone) {
  const named = new URLSearchParams(hash.replace(/^#/, ""));
  const view = Object.fromEntries(Object.keys(first).map((name) => [name, named.get(name) ?? first[name]]));
  if (!Object.hasOwn(RANGES, view.range)) view.range = first.range;
  if (!PERIODS.includes(view.period) || !named.has("period")) view.period = RANGES[view.range].period;
  if (!COMPARISONS.includes(view.compare)) view.compare = first.compare;
  if (!SCOPE_SHAPE.test(view.by)) view.by = first.by;
  if (!isZone(view.zone)) view.zone = first.zone;
  return view;
}

/** The words of a view: whoever opens them sees the same, in whatever zone they are. */
export function writeView(view) {
  const named = Object.entries(view).filter(([name, value]) => value !== RARE[name]);
  return `#${new URLSearchParams(named)}`.replaceAll("%2F", "/"); // as zones are written
}
