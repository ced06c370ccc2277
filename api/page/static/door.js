// The door: a person types in a key, and gets the word of what is wrong with it.

import { at, tell } from "./words/dom.js";

const KEY_SHAPE = /^[\x21-\x7e]+$/; // what a header can carry

export class Door {
  /** entered(key): is told of a key that may be one. */
  constructor(entered) {
    at("door-form").addEventListener("submit", (event) => {
      event.preventDefault();
      const key = at("key").value.trim();
      if (key === "") return this.open("Type or paste an API key.");
      if (!KEY_SHAPE.test(key)) return this.open("This is no API key: those have plain letters and digits only.");
      tell(at("door-error"), "");
      this.#wait(true);
      at("key").value = "";
      return entered(key);
    });
  }

  /** Ask for a key. why: what is wrong with the one before, "" where nothing is. */
  open(why) {
    at("board").hidden = true;
    at("leave").hidden = true;
    at("door").hidden = false;
    this.#wait(false);
    tell(at("door-error"), why);
    at("key").setAttribute("aria-invalid", String(why !== ""));
    at("key").focus();
  }

  /** Show the board. Returns whether it was not shown before. */
  pass() {
    if (!at("board").hidden) return false;
    const wasOpen = !at("door").hidden;
    at("door").hidden = true;
    at("board").hidden = false;
    at("leave").hidden = false;
    if (wasOpen) at("range").focus();
    return true;
  }

  #wait(isWaiting) {
    at("door-form").querySelector("button").disabled = isWaiting;
  }
}
