// What is asked beside the numbers: each question in its own rhythm, and none of them keeps the numbers waiting. They
// are a help: without an answer the numbers are the same, and it is asked again a while later.

import { Refusal } from "./api.js";

const AGAIN_MS = 10_000; // after a refusal
const REST = 20; // times as long as the answer took: a question that costs much is asked seldom

export class Beside {
  #asked = new Map(); // name -> { question, againMs }

  /**
   * Ask, unless the same was asked just now under this name. everyMs: how often at most; ask(): resolves to an
   * answer; take(answer), miss(refusal): has it. Resolves once that is done. Throws what is no Refusal.
   */
  async help({ name, question, everyMs, ask, take, miss = () => {} }, signal) {
    const last = this.#asked.get(name);
    const startMs = performance.now();
    if (last?.question === question && startMs < last.againMs) return;
    const asked = { question, againMs: Infinity }; // one at a time
    let isOver = false;
    this.#asked.set(name, asked);
    try {
      const answer = await ask();
      if (signal.aborted) return;
      asked.againMs = startMs + Math.max(everyMs, REST * (performance.now() - startMs));
      isOver = true;
      take(answer);
    } catch (error) {
      if (signal.aborted) return;
      if (!(error instanceof Refusal)) throw error;
      asked.againMs = startMs + AGAIN_MS;
      isOver = true;
      miss(error);
    } finally {
      if (!isOver && this.#asked.get(name) === asked) this.#asked.delete(name);
    }
  }

  /** Ask all of it again: what was answered is for others. */
  forget() {
    this.#asked.clear();
  }
}
