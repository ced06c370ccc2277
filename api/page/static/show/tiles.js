// The totals: a tile for each of the six, with its rate, the detail that stands with it, and what it was before; and
// below them what is counted too.

import { at, make, tell } from "../words/dom.js";
import { change, count, NOTHING, rate } from "../words/format.js";
import { ALSO, COUNTS } from "../words/kinds.js";

export class Tiles {
  #tiles = new Map(); // field -> { number, rate, part, change }
  #also = new Map(); // field -> element

  constructor() {
    for (const kind of COUNTS) at("tiles").append(this.#tile(kind));
    for (const { field, name } of ALSO) {
      const number = make("dd", { dataset: { total: field } }, NOTHING);
      this.#also.set(field, number);
      at("also").append(make("div", {}, make("dt", { dataset: { meaning: field } }, name), number));
    }
  }

  /** Show an answer; undefined: that there is none. */
  show(body) {
    const { totals = {}, rates = {}, previous } = body ?? {};
    for (const { field, rate: name, of, part } of COUNTS) {
      const tile = this.#tiles.get(field);
      tell(tile.number, count(totals[field]));
      const whole = name === undefined ? "handed to SES" : `${rate(rates[name])} of ${of}`;
      tell(tile.rate, body === undefined ? "" : whole);
      const detail = part && `${part.name} ${count(totals[part.field])} · ${rate(rates[part.rate])}`;
      tell(tile.part, body === undefined ? "" : (detail ?? ""));
      tell(tile.change, previous === undefined ? "" : change(previous.totals[field], body.change[field]));
    }
    for (const [field, number] of this.#also) tell(number, count(totals[field]));
  }

  #tile({ field, name, part }) {
    const tile = {
      number: make("span", { className: "number", dataset: { total: field } }, NOTHING),
      rate: make("span", { className: "rate", dataset: { rate: field } }),
      part: make("span", { className: "rate", dataset: part ? { part: part.field, meaning: part.field } : {} }),
      change: make("span", { className: "rate", dataset: { change: field } }),
    };
    this.#tiles.set(field, tile);
    const label = make("dt", { dataset: { meaning: field } }, name);
    return make("div", { className: `tile ${field}` }, label, make("dd", {}, ...Object.values(tile)));
  }
}
