// All points as a table, which is filled while it is open.

import { at, make, tell } from "../words/dom.js";
import { count, point } from "../words/format.js";
import { COLUMNS } from "../words/kinds.js";

const MOST_ROWS = 1_000;
const STATUS = { partial: "not complete yet", provisional: "events may still come", final: "final" };

export class Points {
  #body;
  #zone;

  constructor() {
    at("details").addEventListener("toggle", () => this.#fill());
  }

  /** Show an answer; undefined: that there is none. zone: of its days and times. */
  show(body, zone) {
    this.#body = body;
    this.#zone = zone;
    this.#fill();
  }

  #fill() {
    const [head, body] = at("table").children;
    head.replaceChildren();
    body.replaceChildren();
    if (!at("details").open || this.#body === undefined) return;
    const { timeseries, period } = this.#body;
    const names = ["Time", ...COLUMNS.map(({ name }) => name), "State"];
    head.append(make("tr", {}, ...names.map((name) => make("th", { scope: "col" }, name))));
    for (const each of timeseries.slice(-MOST_ROWS).reverse()) {
      body.append(
        make(
          "tr",
          {},
          make("th", { scope: "row" }, point(each.timestamp, period, this.#zone)),
          ...COLUMNS.map(({ field }) => make("td", {}, count(each[field]))),
          make("td", { className: "state" }, STATUS[each.status]),
        ),
      );
    }
    const left = timeseries.length - MOST_ROWS;
    tell(at("table-hint"), left > 0 ? `The last ${count(MOST_ROWS)}; ${count(left)} earlier ones are left out.` : "");
  }
}
