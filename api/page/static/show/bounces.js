// Bounces by kind: what is to be taken off the list (hard), what may come right (soft), and what SES did not try.

import { at, make, tell } from "../words/dom.js";
import { count, NOTHING, rate } from "../words/format.js";
import { BOUNCES } from "../words/kinds.js";

export class Bounces {
  #rows = new Map(); // field -> { number, part, bar }

  constructor() {
    for (const { field, name } of BOUNCES) {
      const row = {
        number: make("span", { className: "count", dataset: { total: field } }, NOTHING),
        part: make("span", { className: "rate", dataset: { rate: field } }),
        bar: make("span", { className: "bar-fill", "aria-hidden": "true" }),
      };
      this.#rows.set(field, row);
      at("kinds").append(
        make("dt", { dataset: { meaning: field } }, name),
        make("dd", {}, make("span", { className: "bar-track" }, row.bar), row.number, row.part),
      );
    }
  }

  /** Show the totals of an answer; {}: that there are none. */
  show(totals) {
    const most = Math.max(1, ...BOUNCES.map(({ field }) => totals[field] ?? 0));
    for (const [field, { number, part, bar }] of this.#rows) {
      const bounced = totals[field];
      tell(number, count(bounced));
      tell(part, bounced === undefined ? "" : `${rate(totals.sent > 0 ? bounced / totals.sent : null)} of sent`);
      bar.style.width = `${(100 * (bounced ?? 0)) / most}%`;
    }
  }
}
