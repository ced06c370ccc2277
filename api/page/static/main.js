// The page: wires the key, the view, the questions and what is shown of the answers.

import { Api, Refusal } from "./api.js";
import { Board } from "./board.js";
import { Controls, ZONES } from "./controls.js";
import { at, tell } from "./dom.js";
import { ago, moment } from "./format.js";
import { Freshness } from "./freshness.js";
import { Poll } from "./poll.js";
import { startTheme } from "./theme.js";
import { questionOf, readView, writeView } from "./view.js";

const KEY = "api-key";
const KEY_SHAPE = /^[\x21-\x7e]+$/; // what a header can carry
const IDS_EVERY_MS = 30_000;
const MOST_IDS = 5_000;
const UNAUTHORIZED = 401;

const TITLES = {
  0: "The API does not answer.",
  400: "This cannot be shown.",
  404: "There are no numbers for this.",
  429: "This key has asked too often.",
  503: "The numbers cannot be read at the moment.",
};
const FRESHNESS_WORDS = {
  waiting: "Asking …",
  none: "Not complete yet.",
  live: "Live.",
  stale: "Standing still.",
  away: "Not known at the moment.",
};

let view = readView(location.hash, ZONES);
let api; // undefined where there is no key
let isAnswered = false; // whether the view that is open has had an answer
let ids = new AbortController(); // ends with the key
let idsKnownAt = -Infinity;
let freshness = new Freshness();

const board = new Board();
const controls = new Controls(view, (chosen) => open(chosen));
const poll = new Poll(step);

/** Ask once for the open view, and show what came. */
async function step(signal) {
  try {
    const question = questionOf(view, Date.now());
    if (question === undefined) throw new Refusal(400, "An id that is only dots cannot be asked for in a URL.");
    const answer = await api.ask(question, signal);
    if (signal.aborted) return undefined;
    freshness.heard(answer.throughMs, answer.serverMs, performance.now());
    took(answer);
    void learnIds(ids.signal);
    return { ok: true, waitMs: 0, isOver: false, told: () => {} };
  } catch (error) {
    if (signal.aborted) return undefined;
    if (!(error instanceof Refusal)) throw error;
    return refused(error);
  }
}

function took({ body, isNews }) {
  enter();
  at("trouble").hidden = true;
  if (isNews || at("numbers").dataset.state !== "now") board.show(body, view.zone);
  if (!isAnswered) tell(at("news"), `Totals: ${board.inWords}`);
  isAnswered = true;
  showFreshness();
}

function refused(error) {
  if (error.status === UNAUTHORIZED) {
    leave(`The API does not accept this key. ${error.message}`);
    return { ok: false, waitMs: 0, isOver: true, told: () => {} };
  }
  enter();
  if (error.status === 0 || error.status >= 500) freshness.missed();
  if (isAnswered && error.status !== 404) board.mark("old");
  else board.clear();
  at("trouble").hidden = false;
  tell(at("trouble-title"), TITLES[error.status] ?? "The API has a defect.");
  tell(at("trouble-detail"), error.message);
  tell(at("trouble-next"), "");
  showFreshness();
  return { ok: false, waitMs: error.waitMs, isOver: error.status === 400, told: tellPause };
}

function tellPause(pauseMs) {
  const shown = isAnswered ? "The numbers below are the last that were there. " : "";
  tell(at("trouble-next"), `${shown}Asking again in ${Math.ceil(pauseMs / 1000)} s.`);
}

/** Fill the pickers, now and then. They are a help: without them the numbers are the same. */
async function learnIds(signal) {
  if (performance.now() - idsKnownAt < IDS_EVERY_MS) return;
  idsKnownAt = performance.now();
  try {
    controls.know("sequence", await api.ids("sequences", MOST_IDS, signal));
    controls.know("template", await api.ids("templates", MOST_IDS, signal));
  } catch (error) {
    idsKnownAt = -Infinity; // with the next answer
    if (!signal.aborted && !(error instanceof Refusal)) throw error;
  }
}

/** Show another view. */
function open(chosen) {
  view = chosen;
  history.replaceState(null, "", writeView(view));
  isAnswered = false;
  board.mark(board.hasNumbers ? "asking" : "none");
  if (api !== undefined) void poll.now();
}

function showFreshness() {
  const { state, throughMs, nowMs } = freshness.at(performance.now());
  at("freshness").dataset.state = state;
  tell(at("freshness-word"), FRESHNESS_WORDS[state]);
  tell(at("freshness-text"), throughMs ? freshnessText(state, throughMs, nowMs) : "");
}

function freshnessText(state, throughMs, nowMs) {
  const words = `complete through ${moment(throughMs, nowMs, view.zone)} (${view.zone}), ${ago(nowMs - throughMs)}`;
  if (state === "stale") return `The numbers are ${words}; what came later is not counted yet.`;
  return state === "away" ? `When last told: ${words}.` : `The numbers are ${words}.`;
}

/** Begin with a key. */
function start(key) {
  api = new Api(key);
  ids = new AbortController();
  freshness = new Freshness();
  isAnswered = false;
  idsKnownAt = -Infinity;
  board.clear();
  void poll.now();
}

function enter() {
  if (!at("board").hidden) return;
  const wasAtDoor = !at("door").hidden;
  at("door").hidden = true;
  at("board").hidden = false;
  at("leave").hidden = false;
  board.recolour(); // it has a size now
  if (wasAtDoor) at("range").focus();
}

/** Forget the key and all that it showed, and ask for one. why: what is wrong with it. */
function leave(why) {
  poll.stop();
  ids.abort();
  api = undefined;
  sessionStorage.removeItem(KEY);
  board.clear();
  controls.know("sequence", { ids: [], isAll: true });
  controls.know("template", { ids: [], isAll: true });
  at("board").hidden = true;
  at("leave").hidden = true;
  at("door").hidden = false;
  at("door-form").querySelector("button").disabled = false;
  tell(at("door-error"), why);
  at("key").setAttribute("aria-invalid", String(why !== ""));
  at("key").focus();
}

function submitted(event) {
  event.preventDefault();
  const key = at("key").value.trim();
  if (!KEY_SHAPE.test(key)) {
    leave(key === "" ? "Type or paste an API key." : "This is no API key: those have plain letters and digits only.");
    return;
  }
  tell(at("door-error"), "");
  at("door-form").querySelector("button").disabled = true;
  at("key").value = "";
  sessionStorage.setItem(KEY, key);
  start(key);
}

startTheme(() => board.recolour());
at("door-form").addEventListener("submit", submitted);
at("leave").addEventListener("click", () => leave(""));
at("again").addEventListener("click", () => void poll.now());
addEventListener("hashchange", () => {
  const named = readView(location.hash, ZONES);
  controls.show(named);
  open(named);
});
setInterval(showFreshness, 500);

const kept = sessionStorage.getItem(KEY);
if (kept === null) leave("");
else start(kept);
