// A sender's health as mail providers and SES judge it: two rates, each with a word, a sign and its thresholds.

import { at, make, tell } from "../words/dom.js";
import { count, NOTHING, rate } from "../words/format.js";

const WATCHED = [
  { key: "bounce", name: "Hard bounces" },
  { key: "complaint", name: "Complaints" },
];
const WORDS = {
  healthy: { sign: "✓", word: "Healthy" },
  warning: { sign: "!", word: "Warning" },
  critical: { sign: "✕", word: "Critical" },
  insufficient_data: { sign: "?", word: "Too few to tell" },
};

export class Health {
  #rows = new Map(); // key -> { root, sign, word, rate, limits }
  #limits; // as the API tells them
  #health;

  constructor() {
    for (const { key, name } of WATCHED) {
      const row = {
        sign: make("span", { className: "sign", "aria-hidden": "true" }),
        word: make("strong", { dataset: { health: key } }),
        rate: make("span", { className: "count", dataset: { healthRate: key } }),
        limits: make("span", { className: "hint", dataset: { limits: key } }),
      };
      const said = make("dd", {}, row.sign, row.word, row.rate, row.limits);
      row.root = make("div", { className: "watched" }, make("dt", {}, name), said);
      this.#rows.set(key, row);
      at("watched").append(row.root);
    }
  }

  /** Show the `health` of an answer; undefined: that it has none, and the card goes. */
  show(health) {
    this.#health = health;
    at("health").hidden = health === undefined;
    for (const [key, row] of this.#rows) {
      const { status, rate: part } = health?.[key] ?? {};
      row.root.dataset.status = status ?? "";
      tell(row.sign, WORDS[status]?.sign ?? "");
      tell(row.word, WORDS[status]?.word ?? NOTHING);
      tell(row.rate, rate(part));
      tell(row.limits, this.#limitsOf(key));
    }
  }

  /** The thresholds became known. limits: `health` of the API's fields. */
  know(limits) {
    this.#limits = limits;
    this.show(this.#health);
  }

  #limitsOf(key) {
    if (this.#limits === undefined) return "";
    const { formula, warning, critical } = this.#limits[key];
    const few = `from ${count(this.#limits.sent_at_least)} sent on`;
    return `${formula}, ${few}: warning at ${rate(warning)}, critical at ${rate(critical)}`;
  }
}
