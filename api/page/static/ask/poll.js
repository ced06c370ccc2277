// When to ask: again and again while somebody looks, never while the tab is hidden, and ever more seldom while
// asking fails, but for when the API itself says when.

const EVERY_MS = 2_000;
const LONGEST_MS = 60_000;

export class Poll {
  #step;
  #timer;
  #abort = new AbortController();
  #failures = 0;
  #isOn = false;

  /**
   * step(signal): asks once. Resolves to { ok, waitMs, isOver, told }: waitMs: what the API asked for; isOver:
   * whether the same question is of no use, so that it rests until `now`; told(pauseMs): hears when it is asked.
   */
  constructor(step) {
    this.#step = step;
    document.addEventListener("visibilitychange", () => {
      if (!this.#isOn) return;
      if (document.hidden) this.#rest();
      else this.now();
    });
  }

  /** Ask at once, and from then on; what is under way is dropped. */
  async now() {
    this.#rest();
    this.#isOn = true;
    const abort = new AbortController();
    this.#abort = abort;
    const outcome = await this.#step(abort.signal);
    if (abort.signal.aborted) return;
    this.#abort = new AbortController(); // that question is answered: there is nothing to drop
    this.#failures = outcome.ok ? 0 : this.#failures + 1;
    if (outcome.isOver) {
      this.#isOn = false;
      return;
    }
    const pauseMs = this.#pauseMs(outcome.waitMs);
    outcome.told(pauseMs);
    if (!document.hidden) this.#timer = setTimeout(() => this.now(), pauseMs);
  }

  #pauseMs(waitMs) {
    if (this.#failures === 0) return EVERY_MS;
    const spread = 0.75 + Math.random() / 2; // so that not all tabs come back together
    return Math.max(waitMs, Math.min(LONGEST_MS, EVERY_MS * 2 ** (this.#failures - 1)) * spread);
  }

  stop() {
    this.#isOn = false;
    this.#failures = 0;
    this.#rest();
  }

  #rest() {
    clearTimeout(this.#timer);
    this.#abort.abort();
  }
}
