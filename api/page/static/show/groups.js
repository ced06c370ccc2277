// The row of groups: those of a scope that sent most, and all other mail, so that they add up. A click looks into one.

import { at, make, tell } from "../words/dom.js";
import { count, rate } from "../words/format.js";
import { GROUP_COLUMNS } from "../words/kinds.js";
import { manyOf, nameOf, settingOf, wordsOf } from "../words/scopes.js";

const ID = "id";

export class Groups {
  #body;
  #view;
  #sorted;
  #opened;

  /** opened(id): a person looks into one, or "" into all mail; sorted(sort): a person sorts them. */
  constructor(view, opened, sorted) {
    this.#view = view;
    this.#opened = opened;
    this.#sorted = sorted;
  }

  /** Show an answer. */
  show(body) {
    if (body === this.#body) return;
    this.#body = body;
    this.#show();
  }

  /** There is no answer. */
  miss({ status, message }) {
    if (this.#body !== undefined || status >= 500 || status === 0) return; // it is asked again
    at("groups-none").hidden = false;
    tell(at("groups-none"), message);
  }

  /** Another view is shown. isKept: whether what is shown is of it too. */
  turn(view, isKept) {
    this.#view = view;
    if (!isKept) this.#body = undefined;
    this.#show();
  }

  #show() {
    const groups = this.#body?.groups ?? [];
    const isNone = groups.length === 0;
    tell(at("groups-title"), `Top ${manyOf(this.#view.by)}`);
    at("groups-table").hidden = isNone;
    at("groups-none").hidden = this.#body === undefined || !isNone;
    at("groups-csv").disabled = isNone;
    const hint = `The ${groups.length} that sent most, and all other mail. Choose one to look into it.`;
    tell(at("groups-hint"), isNone ? "" : hint);
    if (isNone) this.#sayNone();
    else this.#fill(groups);
  }

  #sayNone() {
    const { by } = this.#view;
    const example = `X-SES-MESSAGE-TAGS: ${by}=spring`;
    at("groups-none").replaceChildren(
      `No mail of this range has a ${wordsOf(by)}. Give your mails the message tag that counts as one, such as `,
      make("code", {}, example),
      `. Which tag that is says the setting ${settingOf(by)} of the worker.`,
    );
  }

  #fill(groups) {
    const [head, body] = at("groups-table").children;
    const columns = [{ key: ID, name: nameOf(this.#view.by) }, ...GROUP_COLUMNS];
    head.replaceChildren(make("tr", {}, ...columns.map((each) => this.#heading(each))));
    const focused = document.activeElement?.closest("#groups-table tbody button")?.dataset.id;
    const most = Math.max(1, this.#body.others.sent, ...groups.map(({ sent }) => sent));
    body.replaceChildren(
      ...sortedBy(this.#view.sort, groups).map((group) => this.#row(group, this.#link(group.id), most)),
      this.#row(this.#body.others, make("span", {}, "All other mail"), most),
    );
    if (focused !== undefined) body.querySelector(`[data-id="${CSS.escape(focused)}"]`)?.focus();
  }

  #heading({ key, name }) {
    const { column, isUp } = sortOf(this.#view.sort);
    const isSorted = column === key;
    const button = make("button", { type: "button", dataset: { sort: key } }, name);
    button.addEventListener("click", () => this.#sort(key));
    if (isSorted) button.append(make("span", { "aria-hidden": "true" }, isUp ? " ↑" : " ↓"));
    const order = isSorted ? { "aria-sort": isUp ? "ascending" : "descending" } : {};
    return make("th", { scope: "col", ...order }, button);
  }

  /** By a column, the most first (names from A on); by the same again the other way round. */
  #sort(key) {
    const { column, isUp } = sortOf(this.#view.sort);
    const wantsUp = column === key ? !isUp : key === ID;
    this.#sorted(`${wantsUp ? "-" : ""}${key}`);
    at("groups-table").querySelector(`[data-sort="${key}"]`)?.focus();
  }

  #link(id) {
    const isOpen = id === this.#view.id;
    const button = make("button", { type: "button", className: "link", dataset: { id }, title: id }, id);
    if (isOpen) button.setAttribute("aria-current", "true");
    button.addEventListener("click", () => this.#opened(isOpen ? "" : id));
    return button;
  }

  #row(group, name, most) {
    const bar = make("span", { className: "bar-fill", "aria-hidden": "true" });
    bar.style.width = `${Math.max(0, Math.min(100, (100 * group.sent) / most))}%`;
    const cells = GROUP_COLUMNS.map(({ field, rate: part }) => (field ? count(group[field]) : rate(group.rates[part])));
    const head = make("th", { scope: "row" }, name, make("span", { className: "bar-track" }, bar));
    return make("tr", {}, head, ...cells.map((text) => make("td", {}, text)));
  }
}

function sortOf(sort) {
  return { column: sort.replace(/^-/, ""), isUp: sort.startsWith("-") };
}

/** Groups in the order of a view; one that has no such number comes last either way. */
function sortedBy(sort, groups) {
  const { column, isUp } = sortOf(sort);
  const sign = isUp ? 1 : -1;
  if (column === ID) return groups.toSorted((a, b) => sign * a.id.localeCompare(b.id));
  const { field, rate: part } = GROUP_COLUMNS.find(({ key }) => key === column) ?? GROUP_COLUMNS[0];
  const of = (group) => (field ? group[field] : group.rates[part]) ?? null;
  return groups.toSorted((a, b) => (of(a) === null) - (of(b) === null) || sign * (of(a) - of(b)));
}
