// The numbers of one answer on the page: tiles, charts and the table. Where there is no answer there is a dash,
// never a 0.

import { Chart } from "./chart.js";
import { at, make, tell } from "./dom.js";
import { count, NOTHING, point, rate, shortCount, span } from "./format.js";
import { COUNTS, RATES } from "./kinds.js";

const MOST_ROWS = 1_000;
const STATUS = { partial: "not complete yet", provisional: "events may still come", final: "final" };

export class Board {
  #tiles = new Map(); // field -> { number, rate }
  #charts;
  #body;
  #zone = "UTC";

  constructor() {
    for (const kind of COUNTS) at("tiles").append(this.#tile(kind));
    const counts = COUNTS.map(({ field, name, dash }) => ({ key: field, name, field, dash }));
    const rates = RATES.map(({ field, name, rate: key, dash }) => ({ key, name, field, dash }));
    this.#charts = [
      new Chart(at("counts"), "Mail over time", counts, { value: count, axis: shortCount, least: 1 }),
      new Chart(at("rates"), "Rates over time", rates, { value: rate, axis: rate, least: 0.0001 }),
    ];
    at("details").addEventListener("toggle", () => this.#fillTable());
  }

  /** Show an answer. zone: of the days and times on it. */
  show(body, zone) {
    this.#body = body;
    this.#zone = zone;
    for (const { field, rate: name, of } of COUNTS) {
      const tile = this.#tiles.get(field);
      tell(tile.number, count(body.totals[field]));
      tell(tile.rate, name === undefined ? "handed to SES" : `${rate(body.rates[name])} of ${of}`);
    }
    tell(at("span"), span(body.from, body.to, zone));
    this.#draw(body.totals, body.rates, body.timeseries, body.period);
    this.#fillTable();
    this.mark("now");
  }

  /** Show that there are no numbers. */
  clear() {
    this.#body = undefined;
    for (const tile of this.#tiles.values()) {
      tell(tile.number, NOTHING);
      tell(tile.rate, "");
    }
    tell(at("span"), "");
    this.#draw({}, {}, [], "day");
    this.#fillTable();
    this.mark("none");
  }

  /** How the numbers are to be taken: `now`, `old` (the last that were there), `asking` (of another view), `none`. */
  mark(state) {
    at("numbers").dataset.state = state;
    at("numbers").setAttribute("aria-busy", String(state === "asking"));
  }

  get hasNumbers() {
    return this.#body !== undefined;
  }

  /** The totals in words. */
  get inWords() {
    return COUNTS.map(({ field, name }) => `${name} ${count(this.#body?.totals[field])}`).join(", ");
  }

  /** Draw again in other colours. */
  recolour() {
    for (const chart of this.#charts) chart.redraw();
  }

  #draw(totals, rates, points, period) {
    const [counts, parts] = this.#charts;
    const common = { period, zone: this.#zone };
    const told = (values) => points.map((each) => ({ ...each, isPartial: each.status === "partial", values: values(each) }));
    counts.show({ ...common, totals, points: told((each) => each) });
    parts.show({ ...common, totals: rates, points: told((each) => each.rates) });
  }

  #tile({ field, name }) {
    const number = make("span", { className: "number", dataset: { total: field } }, NOTHING);
    const part = make("span", { className: "rate", dataset: { rate: field } });
    this.#tiles.set(field, { number, rate: part });
    return make("div", { className: `tile ${field}` }, make("dt", {}, name), make("dd", {}, number, part));
  }

  #fillTable() {
    const [head, body] = at("table").children;
    head.replaceChildren();
    body.replaceChildren();
    if (!at("details").open || this.#body === undefined) return;
    const { timeseries, period } = this.#body;
    const names = ["Time", ...COUNTS.map(({ name }) => name), "State"];
    head.append(make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
    for (const each of timeseries.slice(-MOST_ROWS).reverse()) {
      body.append(
        make(
          "tr",
          {},
          make("th", { scope: "row" }, point(each.timestamp, period, this.#zone)),
          ...COUNTS.map(({ field }) => make("td", {}, count(each[field]))),
          make("td", { className: "state" }, STATUS[each.status]),
        ),
      );
    }
    const left = timeseries.length - MOST_ROWS;
    tell(at("table-hint"), left > 0 ? `The last ${count(MOST_ROWS)}; ${count(left)} earlier ones are left out.` : "");
  }
}
