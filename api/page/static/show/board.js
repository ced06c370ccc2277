// The numbers of one answer on the page. Where there is no answer there is a dash, never a 0.

import { at, tell } from "../words/dom.js";
import { count, rate, shortCount, span } from "../words/format.js";
import { COUNT_LINES, COUNTS, RATE_LINES } from "../words/kinds.js";
import { Bounces } from "./bounces.js";
import { Chart } from "./chart.js";
import { hideEmpty, showEmpty } from "./empty.js";
import { Health } from "./health.js";
import { Points } from "./points.js";
import { Tiles } from "./tiles.js";

export class Board {
  #tiles = new Tiles();
  #health = new Health();
  #bounces = new Bounces();
  #points = new Points();
  #charts = [
    new Chart(at("counts"), "Mail over time", COUNT_LINES, { value: count, axis: shortCount, least: 1 }),
    new Chart(at("rates"), "Rates over time", RATE_LINES, { value: rate, axis: rate, least: 0.0001 }),
  ];
  #body;
  #before = []; // the points of the span before
  #zone = "UTC"; // of the days and times

  /** Show the answer of a view. before: the points of the span before, in their order. */
  show(body, before, view) {
    this.#body = body;
    this.#before = before;
    this.#zone = view.zone;
    tell(at("span"), spans(body, view.zone));
    this.#fill();
    showEmpty(body, view);
    this.mark("now");
  }

  /** Show that there are no numbers. */
  clear() {
    this.#body = undefined;
    this.#before = [];
    tell(at("span"), "");
    this.#fill();
    hideEmpty();
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

  /** The thresholds of a sender's health became known. */
  knowLimits(limits) {
    this.#health.know(limits);
  }

  /** Draw again in other colours. */
  recolour() {
    for (const chart of this.#charts) chart.redraw();
  }

  #fill() {
    const body = this.#body;
    const totals = body?.totals ?? {};
    this.#tiles.show(body);
    this.#health.show(body?.health);
    this.#bounces.show(totals);
    this.#points.show(body, this.#zone);
    this.#draw();
  }

  #draw() {
    const { totals = {}, rates = {}, timeseries = [], period = "day" } = this.#body ?? {};
    const [counts, parts] = this.#charts;
    const common = { period, zone: this.#zone };
    const points = timeseries.map((each) => ({ ...each, isPartial: each.status === "partial" }));
    counts.show({ ...common, totals, points: points.map((each) => ({ ...each, values: each })), before: this.#before });
    parts.show({
      ...common,
      totals: rates,
      points: points.map((each) => ({ ...each, values: each.rates })),
      before: this.#before.map((each) => each.rates),
    });
  }
}

/** From when to when, and what it is compared with. */
function spans({ from, to, previous }, zone) {
  const compared = previous === undefined ? "" : ` Compared with ${span(previous.from, previous.to, zone)}.`;
  return `${span(from, to, zone)}, ${zone}.${compared}`;
}
