// Why there are no numbers, in the API's own words where those are for people, and when it is asked again.

import { at, tell } from "../words/dom.js";

const TITLES = {
  0: "The API does not answer.",
  400: "This cannot be shown.",
  404: "There are no numbers for this.",
  429: "This key has asked too often.",
  503: "The numbers cannot be read at the moment.",
};

const DETAILS = {
  404: "Nothing was counted for it yet, or it is of another tenant than this key. Choose one above, or go back to all mail.",
};

/** Show a Refusal. */
export function showTrouble({ status, message }) {
  at("trouble").hidden = false;
  tell(at("trouble-title"), TITLES[status] ?? "The API has a defect.");
  tell(at("trouble-detail"), DETAILS[status] ?? message);
  tell(at("trouble-next"), "");
}

/** Say when it is asked again. hasNumbers: whether earlier ones still stand below. */
export function tellPause(pauseMs, hasNumbers) {
  const shown = hasNumbers ? "The numbers below are the last that were there. " : "";
  tell(at("trouble-next"), `${shown}Asking again in ${Math.ceil(pauseMs / 1000)} s.`);
}

export function hideTrouble() {
  at("trouble").hidden = true;
}
