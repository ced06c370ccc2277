// The controls: what a person chooses becomes a view, and a view shows in the controls.

import { at, make, tell } from "../words/dom.js";
import { FIRST_SCOPES, manyOf, nameOf, wordsOf } from "../words/scopes.js";
import { dayBefore } from "./dates.js";
import { RANGES } from "./view.js";
import { DEVICE_ZONE, zoneGroups } from "./zones.js";

const PLAIN = ["range", "zone", "compare", "from", "to"];
const NONE = { ids: [], isAll: true };

export class Controls {
  #view;
  #scopes = FIRST_SCOPES;
  #known = { by: undefined, ...NONE }; // the ids of one scope

  /** chosen(view): is told of each choice. */
  constructor(view, chosen) {
    for (const { label, zones } of zoneGroups()) {
      at("zone").append(make("optgroup", { label }, ...zones.map(zoneOption)));
    }
    this.show(view);
    at("controls").addEventListener("submit", (event) => event.preventDefault());
    at("controls").addEventListener("change", ({ target: { id, value, name } }) => {
      chosen(this.#afterChoice(name || id, value));
    });
    at("all").addEventListener("click", () => chosen(this.#afterChoice("id", "")));
  }

  /** Show a view in the controls. */
  show(view) {
    this.#view = view;
    const zones = [...at("zone").options].map(({ value }) => value);
    if (!zones.includes(view.zone)) at("zone").append(zoneOption(view.zone));
    for (const name of PLAIN) at(name).value = view[name];
    at("period").querySelector(`[value="${view.period}"]`).checked = true;
    at("dates").hidden = view.range !== "custom";
    const isAll = view.id === "";
    at("all").hidden = isAll;
    tell(at("totals-title"), isAll ? "Totals" : `Totals of the ${wordsOf(view.by)} ${view.id}`);
    this.#fillScopes();
    this.#fillIds();
  }

  /** The scopes that there are. */
  knowScopes(scopes) {
    if (scopes.join() === this.#scopes.join()) return; // an open list stays as it is
    this.#scopes = scopes;
    this.#fillScopes();
  }

  /** The ids that there are in a scope. known: { ids, isAll } as `Api.ids` gives them. */
  knowIds(by, known) {
    const had = this.#known;
    if (had.by === by && had.isAll === known.isAll && had.ids.join("\0") === known.ids.join("\0")) return;
    this.#known = { by, ...known };
    this.#fillIds();
  }

  /** What was known was for another key. */
  forget() {
    this.#scopes = FIRST_SCOPES;
    this.#known = { by: undefined, ...NONE };
    this.#fillScopes();
    this.#fillIds();
  }

  #afterChoice(name, value) {
    const view = { ...this.#view, [name]: value };
    if (name === "by") view.id = "";
    if (name === "range") {
      view.period = RANGES[value].period;
      if (value === "custom" && view.from === "") {
        Object.assign(view, { from: dayBefore(Date.now(), view.zone, 29), to: dayBefore(Date.now(), view.zone, 0) });
      }
    }
    return view;
  }

  #fillScopes() {
    const { by } = this.#view;
    const all = this.#scopes.includes(by) ? this.#scopes : [...this.#scopes, by];
    at("by").replaceChildren(...all.map((scope) => make("option", { value: scope }, nameOf(scope))));
    at("by").value = by;
  }

  #fillIds() {
    const { by, id: chosen } = this.#view;
    const { ids, isAll } = this.#known.by === by ? this.#known : NONE;
    const all = chosen === "" || ids.includes(chosen) ? ids : [chosen, ...ids];
    const options = all.map((id) => make("option", { value: id }, id));
    if (!isAll) options.push(make("option", { disabled: true }, "There are more than can be listed here"));
    at("id").replaceChildren(make("option", { value: "" }, "All mail"), ...options);
    at("id").value = chosen;
    tell(at("id-label"), nameOf(by));
    at("id").title = ids.length === 0 ? `No ${manyOf(by)} are known yet` : "";
  }
}

function zoneOption(zone) {
  return make("option", { value: zone }, zone === DEVICE_ZONE ? `${zone} (here)` : zone);
}
