// Keeping an answer as a file.

import { dayBefore } from "../view/dates.js";
import { make } from "../words/dom.js";
import { manyOf } from "../words/scopes.js";

const KEPT_MS = 60_000; // a browser may ask where to before it reads it

/** Let the browser keep a Blob under a name. */
export function keep(blob, name) {
  const url = URL.createObjectURL(blob);
  make("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), KEPT_MS);
}

/** The name of the file of an answer; what no file system likes is a dash. what: `points` or `groups` of a view. */
export function fileName(view, what, { from, to }) {
  const days = [from, to].map((instant) => dayBefore(Date.parse(instant), view.zone, 0)).join("-to-");
  const rows = what === "groups" ? manyOf(view.by) : `by-${view.period}`;
  const one = what === "points" && view.id !== "" ? `-${view.by}-${view.id}` : "";
  return `${`email-metrics-${days}-${rows}${one}`.replaceAll(/[^\p{L}\p{N}_-]+/gu, "-").slice(0, 120)}.csv`;
}
