// A line chart of some series over time: drawn by uPlot, read by mouse, touch, keyboard and screen reader.
//
// Every series has a button that shows its value at the cursor (or a total) and takes the line away and back;
// the scale follows the lines that are left. The span before is drawn faintly behind, each of its points where the
// one is that it is compared with. The arrow keys move the cursor, and what it stands on is said to a screen reader.

import uPlot from "../uPlot.esm.js";
import { make, tell } from "../words/dom.js";
import { NOTHING, point, tick } from "../words/format.js";

const MANY_POINTS = 45; // more than that get no dots
const NARROW = 520;
const TICK_WIDTH = 76; // a date and its margins
const FAINT = 0.35;

// Steps of the vertical axis: 1, 2, 5 and their tens, so that whole numbers stay whole.
const STEPS = [-4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9].flatMap((ten) => [1, 2, 5].map((n) => Number(`${n}e${ten}`)));

export class Chart {
  #series;
  #format;
  #plot;
  #shown = { points: [], before: [], totals: {}, period: "day", zone: "UTC" };
  #hidden = new Set();
  #buttons;
  #stage;
  #said;
  #where;

  /**
   * root: where it goes; label: its name; series: [{ key, name, hue, dash }], hue being the colour;
   * format: { value, axis, least }: value and axis make words of numbers, least is the axis's smallest step.
   */
  constructor(root, label, series, format) {
    this.#series = series;
    this.#format = format;
    this.#buttons = series.map((each) => this.#button(each));
    this.#said = make("p", { className: "hidden", role: "status" });
    this.#where = make("p", { className: "hint where" });
    this.#stage = make("div", {
      className: "stage",
      tabIndex: 0,
      role: "group",
      "aria-roledescription": "line chart",
      "aria-label": `${label}: the arrow keys go from point to point`,
    });
    this.#stage.addEventListener("keydown", (event) => this.#pressed(event));
    root.append(make("div", { className: "legend", role: "group", "aria-label": "Lines" }, ...this.#buttons));
    root.append(this.#stage, this.#where, this.#said);
    new ResizeObserver(() => this.#resize()).observe(this.#stage);
  }

  /**
   * Draw. points: [{ timestamp, isPartial, values }], values by key; before: the values of the span before, point by
   * point, none where it is not drawn; totals: by key; period, zone: of the points.
   */
  show(shown) {
    const isAlike = this.#plot && shown.zone === this.#shown.zone && shown.period === this.#shown.period;
    this.#shown = shown;
    tell(this.#said, "");
    if (isAlike) this.#plot.setData(this.#data());
    else this.redraw();
    this.#tellCursor();
  }

  /** Draw all of it again: the colours have changed. */
  redraw() {
    this.#plot?.destroy();
    this.#plot = new uPlot(this.#options(), this.#data(), this.#stage);
  }

  #data() {
    const { points, before } = this.#shown;
    const times = points.map(({ timestamp }) => Date.parse(timestamp) / 1000);
    return [
      times,
      ...this.#series.map(({ key }) => points.map((_each, index) => before[index]?.[key] ?? null)),
      ...this.#series.map(({ key }) => points.map(({ values }) => values[key])),
    ];
  }

  #options() {
    const { zone, period } = this.#shown;
    const { axis, least } = this.#format;
    const colour = getComputedStyle(this.#stage).color;
    const grid = { stroke: getComputedStyle(this.#stage).borderTopColor, width: 1 };
    const font = `12px ${getComputedStyle(this.#stage).fontFamily}`;
    return {
      ...this.#size(),
      legend: { show: false },
      padding: [10, TICK_WIDTH / 2, 0, 0],
      cursor: { drag: { x: false, y: false }, points: { size: (_plot, at) => (at > this.#series.length ? 9 : 0) } },
      scales: { y: { range: (_plot, _least, most) => [0, most > 0 ? most * 1.06 : 1] } },
      axes: [
        {
          stroke: colour,
          font,
          size: 32,
          grid: { show: false },
          ticks: { ...grid, size: 5 },
          splits: (plot) => someOf(plot.data[0], Math.max(2, Math.floor(plot.width / TICK_WIDTH))),
          values: (_plot, times) => times.map((seconds) => tick(seconds * 1000, period, zone)),
        },
        {
          stroke: colour,
          font,
          size: 56,
          grid,
          ticks: { show: false },
          incrs: STEPS.filter((step) => step >= least),
          values: (_plot, values) => values.map(axis),
        },
      ],
      series: [
        {},
        ...this.#lines({ alpha: FAINT, width: 1.5, points: { show: false } }),
        ...this.#lines({ width: 2, points: { show: this.#shown.points.length <= MANY_POINTS, size: 5 } }),
      ],
      hooks: { drawClear: [(plot) => this.#shade(plot)], setCursor: [() => this.#tellCursor()] },
    };
  }

  #lines(style) {
    return this.#series.map(({ key, dash }, index) => ({
      ...style,
      show: !this.#hidden.has(key),
      stroke: getComputedStyle(this.#buttons[index].firstChild).color,
      dash,
    }));
  }

  /** What leads to a point that is not complete is shaded. */
  #shade(plot) {
    const first = this.#shown.points.findIndex(({ isPartial }) => isPartial);
    if (first < 0) return;
    const { left, top, width, height } = plot.bbox;
    const from = first === 0 ? left : plot.valToPos(plot.data[0][first - 1], "x", true);
    plot.ctx.fillStyle = getComputedStyle(this.#where).borderTopColor;
    plot.ctx.fillRect(from, top, left + width - from, height);
  }

  #size() {
    const width = this.#stage.clientWidth;
    return { width: Math.max(width, 1), height: width < NARROW ? 220 : 300 };
  }

  #resize() {
    this.#plot?.setSize(this.#size());
  }

  #button({ key, name, hue, dash }) {
    const swatch = make("span", { className: `swatch ${hue}${dash ? " dashed" : ""}`, "aria-hidden": "true" });
    const button = make(
      "button",
      { type: "button", "aria-pressed": "true", dataset: { key } },
      swatch,
      make("span", {}, name),
      make("span", { className: "value" }, NOTHING),
      make("span", { className: "before" }),
    );
    button.addEventListener("click", () => this.#toggle(key, button));
    return button;
  }

  #toggle(key, button) {
    const isShown = this.#hidden.delete(key);
    if (!isShown) this.#hidden.add(key);
    button.setAttribute("aria-pressed", String(isShown));
    const index = this.#series.findIndex((each) => each.key === key) + 1;
    for (const each of [index, index + this.#series.length]) this.#plot?.setSeries(each, { show: isShown });
  }

  #tellCursor() {
    const index = this.#plot?.cursor.idx;
    const at = this.#shown.points[index];
    const values = at?.values ?? this.#shown.totals;
    tell(this.#where, at === undefined ? `Totals.${this.#key()}` : this.#nameOf(at));
    this.#series.forEach(({ key }, each) => {
      const [value, before] = [...this.#buttons[each].children].slice(-2);
      tell(value, this.#format.value(values[key]));
      tell(before, this.#beforeOf(index, key));
    });
  }

  /** What the lines and the ground mean. */
  #key() {
    const { points, before } = this.#shown;
    const faint = before.length > 0 ? " Faint: the span that it is compared with." : "";
    return `${faint}${points.some(({ isPartial }) => isPartial) ? " Shaded: not complete yet." : ""}`;
  }

  /** What stood there in the span before, in words; none where that is not drawn. */
  #beforeOf(index, key) {
    const values = this.#shown.before[index];
    return values === undefined ? "" : `before ${this.#format.value(values[key])}`;
  }

  #pressed(event) {
    const last = this.#shown.points.length - 1;
    const index = this.#plot?.cursor.idx;
    const steps = {
      ArrowLeft: Math.max(0, (index ?? last + 1) - 1),
      ArrowRight: Math.min(last, (index ?? -1) + 1),
      Home: 0,
      End: last,
    };
    if (event.key === "Escape") this.#plot?.setCursor({ left: -10, top: -10 });
    if (!Object.hasOwn(steps, event.key) || last < 0) return;
    event.preventDefault();
    const at = steps[event.key];
    this.#plot.setCursor({ left: this.#plot.valToPos(this.#plot.data[0][at], "x"), top: 0 });
    this.#say(at);
  }

  #say(at) {
    const said = this.#shown.points[at];
    const words = this.#series
      .filter(({ key }) => !this.#hidden.has(key))
      .map(({ key, name }) => [name, this.#format.value(said.values[key]), this.#beforeOf(at, key)].join(" ").trim());
    tell(this.#said, `${this.#nameOf(said)}: ${words.join(", ")}`);
  }

  #nameOf({ timestamp, isPartial }) {
    const { period, zone } = this.#shown;
    return `${point(timestamp, period, zone)}${isPartial ? " (not complete yet)" : ""}`;
  }
}

/** At most so many of a list, evenly, the last among them. */
function someOf(all, most) {
  const every = Math.ceil(all.length / most);
  return all.filter((_each, index) => (all.length - 1 - index) % every === 0);
}
