// The page: wires the key, the view, the questions and what is shown of the answers.

import { Api, Refusal } from "./ask/api.js";
import { Beside } from "./ask/beside.js";
import { Freshness } from "./ask/freshness.js";
import { Poll } from "./ask/poll.js";
import { beforeOf, groupsOf, idsOf, MEANINGS, numbersOf, SCOPES, tableOf } from "./ask/question.js";
import { Door } from "./door.js";
import { Board } from "./show/board.js";
import { showCompleteness } from "./show/completeness.js";
import { Groups } from "./show/groups.js";
import { fileName, keep } from "./show/keep.js";
import { showMeanings } from "./show/meanings.js";
import { hideTrouble, showTrouble, tellPause } from "./show/trouble.js";
import { Controls } from "./view/controls.js";
import { firstView, readView, writeView } from "./view/view.js";
import { DEVICE_ZONE, isZone } from "./view/zones.js";
import { at, tell } from "./words/dom.js";
import { startTheme } from "./words/theme.js";

const KEY = "api-key";
const SOON_MS = 10_000;
const SELDOM_MS = 30_000;
const ONCE_MS = Infinity;
const MOST_IDS = 5_000;
const UNAUTHORIZED = 401;

const FIRST = firstView(DEVICE_ZONE);

let view = readView(location.hash, FIRST, isZone);
let api; // undefined where there is no key
let answer; // of the view that is open; undefined before there is one
let before; // { question, points }: the span before
let viewed = new AbortController(); // ends with the view, and with the key
let freshness = new Freshness();

const board = new Board();
const groups = new Groups(view, (id) => choose({ ...view, id }), (sort) => choose({ ...view, sort }));
const controls = new Controls(view, (chosen) => choose(chosen));
const beside = new Beside();
const door = new Door((key) => {
  sessionStorage.setItem(KEY, key);
  start(key);
});
const poll = new Poll(step);

/** Ask once for the open view, and show what came. */
async function step(signal) {
  try {
    const question = numbersOf(view, Date.now());
    if (question === undefined) throw new Refusal(400, "An id that is only dots cannot be asked for in a URL.");
    const told = await api.ask("numbers", question, signal);
    if (signal.aborted) return undefined;
    freshness.heard(told.throughMs, told.serverMs, performance.now());
    took(told);
    askBeside(viewed.signal);
    return { ok: true, waitMs: 0, isOver: false, told: () => {} };
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!(error instanceof Refusal)) throw error;
    return refused(error);
  }
}

function took({ body, isNews }) {
  enter();
  hideTrouble();
  const isFirst = answer === undefined;
  answer = body;
  if (isNews || isFirst || at("numbers").dataset.state !== "now") show();
  if (isFirst) tell(at("news"), `Totals: ${board.inWords}`);
  showFreshness();
}

function show() {
  const isOfThis = before !== undefined && before.question === beforeQuestion();
  board.show(answer, isOfThis ? before.points : [], view);
}

function beforeQuestion() {
  return answer.previous && beforeOf(view, answer.previous);
}

function refused(error) {
  if (error.status === UNAUTHORIZED) {
    leave("The API does not accept this key: it may be cut or mistyped, expired or revoked. Whoever runs it gives out keys.");
    return { ok: false, waitMs: 0, isOver: true, told: () => {} };
  }
  enter();
  if (error.status === 0 || error.status >= 500) freshness.missed();
  const hasNumbers = answer !== undefined && error.status !== 404;
  if (hasNumbers) board.mark("old");
  else board.clear();
  showTrouble(error);
  showFreshness();
  const told = (pauseMs) => tellPause(pauseMs, hasNumbers);
  return { ok: false, waitMs: error.waitMs, isOver: error.status === 400, told };
}

/** Ask for what stands beside the numbers. */
function askBeside(signal) {
  const { by } = view;
  const ask = (name, question, everyMs, take, miss) =>
    beside.help({ name, question, everyMs, ask: () => api.ask(name, question, signal), take, miss }, signal);
  const question = beforeQuestion();
  if (question !== undefined) void ask("before", question, SELDOM_MS, ({ body }) => tookBefore(question, body));
  const all = groupsOf(view, Date.now());
  void ask("groups", all, SOON_MS, ({ body }) => groups.show(body), (refusal) => groups.miss(refusal));
  void ask("scopes", SCOPES, SELDOM_MS, ({ body }) => controls.knowScopes(body.items.map(({ id }) => id)));
  void ask("meanings", MEANINGS, ONCE_MS, ({ body }) => {
    showMeanings(body.fields);
    board.knowLimits(body.health);
  });
  const ids = { ask: () => api.ids(idsOf(by), MOST_IDS, signal), take: (known) => controls.knowIds(by, known) };
  void beside.help({ name: "ids", question: by, everyMs: SELDOM_MS, ...ids }, signal);
}

function tookBefore(question, { timeseries }) {
  if (before?.points === timeseries) return;
  before = { question, points: timeseries };
  if (at("numbers").dataset.state === "now") show();
}

/** A person chose another view: one can go back from it. */
function choose(chosen) {
  history.pushState(null, "", writeView(chosen));
  open(chosen);
}

/** Show another view. */
function open(chosen) {
  const [isSame, hasGroups] = [numbersOf, groupsOf].map((questionOf) => questionOf(chosen, 0) === questionOf(view, 0));
  view = chosen;
  viewed.abort();
  viewed = new AbortController();
  controls.show(view);
  groups.turn(view, hasGroups);
  if (isSame) {
    if (answer !== undefined) askBeside(viewed.signal);
    return;
  }
  answer = undefined;
  board.mark(board.hasNumbers ? "asking" : "none");
  if (api !== undefined) void poll.now();
}

const showFreshness = () => showCompleteness(freshness.at(performance.now()), view.zone);

/** Begin with a key. */
function start(key) {
  api = new Api(key);
  freshness = new Freshness();
  void poll.now();
}

function enter() {
  if (door.pass()) board.recolour(); // it has a size now
}

/** Forget the key and all that it showed, and ask for one. why: what is wrong with it. */
function leave(why) {
  poll.stop();
  viewed.abort();
  viewed = new AbortController();
  api = undefined;
  answer = undefined;
  before = undefined;
  sessionStorage.removeItem(KEY);
  beside.forget();
  board.clear();
  groups.turn(view, false);
  controls.forget();
  door.open(why);
}

/** Let the browser keep what is shown. what: `points` or `groups`; question: that asks for it. */
async function keepCsv(what, question) {
  const { signal } = viewed;
  const of = view;
  try {
    const blob = await api.csv(question, signal);
    keep(blob, fileName(of, what, answer));
    tell(at("news"), "The file is ready.");
  } catch (error) {
    if (signal.aborted) return;
    if (!(error instanceof Refusal)) throw error;
    showTrouble(error);
  }
}

startTheme(() => board.recolour());
at("leave").addEventListener("click", () => leave(""));
at("again").addEventListener("click", () => void poll.now());
at("longer").addEventListener("click", () => choose({ ...view, range: "12m", period: "month" }));
at("points-csv").addEventListener("click", () => void keepCsv("points", tableOf(view, Date.now())));
at("groups-csv").addEventListener("click", () => void keepCsv("groups", groupsOf(view, Date.now())));
addEventListener("hashchange", () => open(readView(location.hash, FIRST, isZone)));
setInterval(showFreshness, 500);

history.replaceState(null, "", writeView(view));
const kept = sessionStorage.getItem(KEY);
if (kept === null) leave("");
else start(kept);
