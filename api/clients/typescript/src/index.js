// The client of the email metrics API. The types, and what each option means: index.d.ts.

import { Exchange } from "./exchange.js";

export * from "./errors.js";
export * from "./rows.js";

const PAGE_LARGEST = 1000;

export class Kraiter {
  constructor({
    apiKey,
    baseUrl,
    timeoutMs = 10_000,
    retries = 3,
    maxWaitMs = 30_000,
    cacheSize = 64,
    log = console.warn,
  }) {
    if (typeof apiKey !== "string" || !/^[!-~]+$/.test(apiKey)) {
      throw new TypeError("apiKey must be a key as it was printed, without spaces or line ends"); // never with the key
    }
    if (!/^https?:\/\//.test(baseUrl)) throw new TypeError(`baseUrl must begin with http:// or https://: ${baseUrl}`);
    const numbers = { timeoutMs, retries, maxWaitMs, cacheSize };
    for (const [name, value] of Object.entries(numbers)) {
      if (!(value >= 0)) throw new TypeError(`${name} must be a number that is not negative: ${value}`);
    }
    this.metrics = new MetricsMethods(baseUrl.replace(/\/+$/, ""), new Exchange(apiKey, { ...numbers, log }));
  }
}

class MetricsMethods {
  #base;
  #exchange;

  constructor(base, exchange) {
    this.#base = `${base}/api/metrics`;
    this.#exchange = exchange;
  }

  async get(parameters) {
    return this.#ask("", parameters);
  }

  async sequence(id, parameters) {
    return this.#ask(`/sequences/${segment(id)}`, parameters);
  }

  async template(id, parameters) {
    return this.#ask(`/templates/${segment(id)}`, parameters);
  }

  async by(scope, id, parameters) {
    return this.#ask(`/by/${segment(scope)}/${segment(id)}`, parameters);
  }

  async sequences(parameters) {
    return this.#ask("/sequences", parameters);
  }

  async templates(parameters) {
    return this.#ask("/templates", parameters);
  }

  async ids(scope, parameters) {
    return this.#ask(`/by/${segment(scope)}`, parameters);
  }

  async *allIds(scope) {
    let cursor;
    do {
      const page = await this.ids(scope, { limit: PAGE_LARGEST, cursor });
      for (const { id } of page.items) yield id;
      cursor = page.next_cursor;
    } while (cursor !== null);
  }

  async scopes() {
    return this.#ask("/by");
  }

  async fields() {
    return this.#ask("/fields");
  }

  #ask(path, parameters = {}) {
    const given = Object.entries(parameters).filter(([, value]) => value !== undefined && value !== null);
    const query = new URLSearchParams(given.map(([name, value]) => [name, textOf(value)]));
    return this.#exchange.ask(`${this.#base}${path}${given.length ? `?${query}` : ""}`);
  }
}

/** An id or a scope as a part of a path. `fetch` takes dots alone, encoded too, for a way up: another resource would answer. */
function segment(id) {
  if (typeof id !== "string") throw new TypeError("an id or a scope must be a text");
  if (id === "." || id === "..") throw new TypeError(`${id} cannot be asked for in a URL`);
  return encodeURIComponent(id);
}

function textOf(value) {
  return value instanceof Date ? value.toISOString() : String(value); // a list: with commas between
}
