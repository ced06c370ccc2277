// How complete the numbers are, in words that go on while nothing is asked.

import { at, tell } from "../words/dom.js";
import { ago, moment } from "../words/format.js";

const WORDS = {
  waiting: "Asking …",
  none: "Not complete yet.",
  live: "Live.",
  stale: "Standing still.",
  away: "Not known at the moment.",
};

/** Show it. freshness: as `Freshness.at` gives it; zone: of the time that is told. */
export function showCompleteness({ state, throughMs, nowMs }, zone) {
  at("freshness").dataset.state = state;
  tell(at("freshness-word"), WORDS[state]);
  tell(at("freshness-text"), throughMs ? textOf(state, throughMs, nowMs, zone) : "");
}

function textOf(state, throughMs, nowMs, zone) {
  const words = `complete through ${moment(throughMs, nowMs, zone)} (${zone}), ${ago(nowMs - throughMs)}`;
  if (state === "stale") return `The numbers are ${words}; what came later is not counted yet.`;
  return state === "away" ? `When last told: ${words}.` : `The numbers are ${words}.`;
}
