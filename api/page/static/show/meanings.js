// What the numbers mean, in the API's own words, so that it cannot be out of date: on a pointer that rests on a name,
// and as a list to read.

import { at, make } from "../words/dom.js";
import { COLUMNS } from "../words/kinds.js";

/** Show them. fields: as the API lists them. */
export function showMeanings(fields) {
  const known = new Map(fields.map((each) => [each.name, each]));
  for (const element of document.querySelectorAll("[data-meaning]")) {
    element.title = known.get(element.dataset.meaning)?.description ?? "";
  }
  const shown = COLUMNS.filter(({ field }) => known.has(field));
  at("meanings-list").replaceChildren(
    ...shown.flatMap(({ field, name }) => {
      const { description, unit, horizon_days: days, rate } = known.get(field);
      const formula = rate === null ? "" : ` Rate: ${rate.formula}.`;
      const more = `Counts ${unit}, up to ${days} days after the send.${formula}`;
      return [make("dt", {}, name), make("dd", {}, description, make("span", { className: "hint" }, more))];
    }),
  );
  at("meanings").hidden = false;
}
