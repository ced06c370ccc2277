// Where nothing was counted in a range: that this is no fault, and what to do where mail went out.

import { at, tell } from "../words/dom.js";
import { span } from "../words/format.js";
import { wordsOf } from "../words/scopes.js";

/** Show or hide it, as an answer of a view says. */
export function showEmpty({ from, to, totals }, { zone, range, by, id }) {
  const isEmpty = Object.values(totals).every((number) => number === 0);
  at("empty").hidden = !isEmpty;
  at("numbers").dataset.empty = String(isEmpty);
  at("longer").hidden = range === "12m";
  const of = id === "" ? "" : ` of this ${wordsOf(by)}`;
  tell(at("empty-span"), `Nothing${of} was counted from ${span(from, to, zone)}.`);
}

export function hideEmpty() {
  at("empty").hidden = true;
  at("numbers").dataset.empty = "false";
}
