// One question to the API and what came of it.
//
// The answer that is held is asked for with its tag; a 304 means that it still stands. Nothing is kept by the
// browser: the key's answers are in this tab's memory and nowhere else.

const TIMEOUT_MS = 15_000;
const NOT_MODIFIED = 304;

/** No answer with numbers. status: 0 where nothing answered; waitMs: when to ask again, where the API said so. */
export class Refusal extends Error {
  constructor(status, detail, waitMs = 0) {
    super(detail);
    this.status = status;
    this.waitMs = waitMs;
  }
}

export class Api {
  #key;
  #held = new Map(); // slot -> { question, tag, body }

  constructor(key) {
    this.#key = key;
  }

  /**
   * Ask. slot: what the answer is for; the last one of each is held. Resolves to { body, isNews, throughMs,
   * serverMs }: isNews is false where the body is the held one; throughMs is null before anything is complete;
   * serverMs is the API's clock. Throws Refusal, or AbortError where `signal` says so.
   */
  async ask(slot, question, signal) {
    const held = this.#held.get(slot);
    const isHeld = held?.question === question;
    const headers = { Accept: "application/json", ...(isHeld ? { "If-None-Match": held.tag } : {}) };
    const response = await this.#fetch(question, headers, signal);
    const times = { throughMs: throughOf(response), serverMs: clockOf(response) };
    if (response.status === NOT_MODIFIED && isHeld) {
      await response.text(); // there is none, but the browser holds the connection until that is seen
      return { body: held.body, isNews: false, ...times };
    }
    const body = await bodyOf(response);
    this.#held.set(slot, { question, tag: response.headers.get("ETag"), body });
    return { body, isNews: true, ...times };
  }

  /** All ids of a listing, up to `most` of them: { ids, isAll }. Throws as `ask`. */
  async ids(listing, most, signal) {
    const found = [];
    let cursor = null;
    do {
      const query = new URLSearchParams({ limit: "1000", ...(cursor === null ? {} : { cursor }) });
      const page = await bodyOf(await this.#fetch(`${listing}?${query}`, { Accept: "application/json" }, signal));
      found.push(...page.items.map(({ id }) => id));
      cursor = page.next_cursor;
    } while (cursor !== null && found.length < most);
    return { ids: found.slice(0, most), isAll: cursor === null && found.length <= most };
  }

  /** An answer as CSV, a Blob. Throws as `ask`. */
  async csv(question, signal) {
    const response = await this.#fetch(question, { Accept: "text/csv" }, signal);
    if (!response.ok) throw await refusalOf(response);
    return response.blob();
  }

  async #fetch(path, headers, signal) {
    try {
      return await fetch(path, {
        headers: { Authorization: `Bearer ${this.#key}`, ...headers },
        cache: "no-store",
        credentials: "omit",
        redirect: "error",
        signal: AbortSignal.any([signal, AbortSignal.timeout(TIMEOUT_MS)]),
      });
    } catch (error) {
      if (signal.aborted) throw error;
      throw new Refusal(0, "No answer came from it. The network may be down, or the program.");
    }
  }
}

const throughOf = (response) => msOf(response.headers.get("X-Complete-Through"));
const clockOf = (response) => msOf(response.headers.get("Date")) ?? Date.now();
const msOf = (text) => (text === null ? null : Date.parse(text));

/** What an answer says. Throws Refusal where it is none. */
async function bodyOf(response) {
  if (!response.ok) throw await refusalOf(response);
  const body = await jsonOf(response);
  if (body === undefined) throw new Refusal(response.status, "The answer could not be read.");
  return body;
}

async function refusalOf(response) {
  const problem = await jsonOf(response);
  const detail = problem?.detail ?? `It answered with status ${response.status} and no word on why.`;
  const wait = Number(response.headers.get("Retry-After") ?? 0);
  return new Refusal(response.status, detail, Number.isFinite(wait) ? wait * 1000 : 0);
}

/** The body; undefined where it is no JSON, or broke off. */
async function jsonOf(response) {
  return response.json().catch(() => undefined);
}
