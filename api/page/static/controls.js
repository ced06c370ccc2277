// The controls: what a person chooses becomes a view, and a view shows in the controls.

import { at, make } from "./dom.js";
import { dayBefore, RANGES } from "./view.js";

const DEVICE_ZONE = new Intl.DateTimeFormat().resolvedOptions().timeZone;

/** The zones to choose from: UTC and that of this device. */
export const ZONES = [...new Set(["UTC", DEVICE_ZONE])];

const PICKERS = { sequence: "All sequences", template: "All templates" };

export class Controls {
  #view;
  #ids = { sequence: { ids: [], isAll: true }, template: { ids: [], isAll: true } };

  /** chosen(view): is told of each choice. */
  constructor(view, chosen) {
    for (const zone of ZONES) {
      at("zone").append(make("option", { value: zone }, zone === "UTC" ? zone : `${zone} (here)`));
    }
    this.show(view);
    at("controls").addEventListener("submit", (event) => event.preventDefault());
    at("controls").addEventListener("change", (event) => {
      this.show(this.#afterChoice(event.target));
      chosen(this.#view);
    });
  }

  /** Show a view in the controls. */
  show(view) {
    this.#view = view;
    for (const name of ["range", "zone", "from", "to"]) at(name).value = view[name];
    at("period").querySelector(`[value="${view.period}"]`).checked = true;
    at("dates").hidden = view.range !== "custom";
    for (const name of Object.keys(PICKERS)) this.#fill(name);
  }

  /** The ids that there are. known: { ids, isAll } as `Api.ids` gives them. */
  know(name, known) {
    const had = this.#ids[name];
    if (had.isAll === known.isAll && had.ids.join("\0") === known.ids.join("\0")) return; // an open list stays as it is
    this.#ids[name] = known;
    this.#fill(name);
  }

  #afterChoice({ id, value, name }) {
    const view = { ...this.#view, [name || id]: value };
    if (id === "range") {
      view.period = RANGES[value].period;
      if (value === "custom" && view.from === "") {
        Object.assign(view, { from: dayBefore(Date.now(), view.zone, 29), to: dayBefore(Date.now(), view.zone, 0) });
      }
    }
    if (id === "sequence" && value !== "") view.template = "";
    if (id === "template" && value !== "") view.sequence = "";
    return view;
  }

  #fill(name) {
    const { ids, isAll } = this.#ids[name];
    const chosen = this.#view[name];
    const all = chosen === "" || ids.includes(chosen) ? ids : [chosen, ...ids];
    const options = all.map((id) => make("option", { value: id }, id));
    if (!isAll) options.push(make("option", { disabled: true }, "There are more than can be listed here"));
    at(name).replaceChildren(make("option", { value: "" }, PICKERS[name]), ...options);
    at(name).value = chosen;
  }
}
