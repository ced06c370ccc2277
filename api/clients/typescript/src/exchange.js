// One question to the API: attempts, pauses, and the answers that are held with their tags.
//
// Held answers are never given out unasked: each question goes to the API with the tag of what is held, and a
// 304 gives the held numbers with the complete_through of now, which stands in its header. Held is the text, and
// it is parsed for each caller, so that none can alter what another gets.

import { errorOf, NotReachedError, UnexpectedAnswerError } from "./errors.js";

const OK = 200;
const NOT_MODIFIED = 304;
const AGAIN = new Set([429, 503]); // the same question may succeed later
const FIRST_PAUSE_MS = 250;

export class Exchange {
  #apiKey;
  #options;
  #held = new Map(); // by URL, in the order of use

  constructor(apiKey, options) {
    this.#apiKey = apiKey;
    this.#options = options;
  }

  /** The body of the answer to a GET. Throws a KraiterError where there is none. */
  async ask(url) {
    const { retries, maxWaitMs, log } = this.#options;
    const held = this.#held.get(url);
    for (let retry = 0; ; retry += 1) {
      const { answer, error, askedMs = 0 } = await this.#attempt(url, held);
      if (error === undefined) return this.#read(url, answer, held);
      const pauseMs = Math.max(askedMs, FIRST_PAUSE_MS * 2 ** retry * (0.5 + Math.random() / 2));
      if (retry === retries || pauseMs > maxWaitMs) throw error;
      log(`kraiter: ${error.message}; asking again in ${Math.round(pauseMs)} ms (retry ${retry + 1})`);
      await new Promise((resolve) => setTimeout(resolve, pauseMs));
    }
  }

  /** An answer; or the error to throw if there is no further attempt, and the wait that was asked for. */
  async #attempt(url, held) {
    const { timeoutMs } = this.#options;
    const headers = { Authorization: `Bearer ${this.#apiKey}`, Accept: "application/json" };
    if (held !== undefined) headers["If-None-Match"] = held.tag;
    const abort = new AbortController();
    const timer = setTimeout(() => abort.abort(), timeoutMs);
    try {
      // manual: the key is for this host, not for one that a redirect names
      const response = await fetch(url, { headers, redirect: "manual", signal: abort.signal });
      const answer = { status: response.status, headers: response.headers, body: await response.text() };
      if (!AGAIN.has(answer.status)) return { answer };
      const text = answer.headers.get("retry-after") ?? "";
      const askedMs = /^\d+$/.test(text) ? Number(text) * 1000 : undefined;
      return { error: errorOf(answer.status, answer.body, askedMs), askedMs };
    } catch (error) {
      const why = abort.signal.aborted
        ? `no answer within ${timeoutMs} ms`
        : [error.message, error.cause?.message].filter(Boolean).join(": ");
      return { error: new NotReachedError(why, { cause: error }) };
    } finally {
      clearTimeout(timer);
    }
  }

  #read(url, { status, headers, body }, held) {
    if (status === NOT_MODIFIED && held !== undefined) {
      this.#hold(url, held);
      const result = JSON.parse(held.body);
      if ("complete_through" in result) result.complete_through = headers.get("x-complete-through");
      return result;
    }
    if (status !== OK) throw errorOf(status, body, undefined);
    const result = parse(status, body);
    const tag = headers.get("etag");
    if (tag !== null) this.#hold(url, { tag, body });
    return result;
  }

  #hold(url, held) {
    this.#held.delete(url);
    this.#held.set(url, held);
    for (const oldest of this.#held.keys()) {
      if (this.#held.size <= this.#options.cacheSize) return;
      this.#held.delete(oldest);
    }
  }
}

function parse(status, body) {
  let result;
  try {
    result = JSON.parse(body);
  } catch (error) {
    throw new UnexpectedAnswerError(status, "the answer is no JSON", { cause: error });
  }
  if (!Array.isArray(result?.timeseries ?? result?.items ?? result?.fields)) {
    throw new UnexpectedAnswerError(status, "the answer has no timeseries, items or fields");
  }
  return result;
}
