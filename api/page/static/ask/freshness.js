// Up to when everything is counted, and whether that moves. Pure: times come in as arguments.
//
// The API's `complete_through` moves each second while the pipeline runs, also without traffic. It is stale
// where it has not moved for a while by this tab's own steady clock, or where it lies far behind the API's
// clock (so that a pipeline that stood still long before the page was opened is told at once).

export const STILL_MS = 5_000;
export const BEHIND_MS = 15_000;

export class Freshness {
  #throughMs;
  #movedAt = 0;
  #heardAt = 0;
  #clockMs = 0;
  #isAway = false;

  /** An answer came. throughMs: null before there is one; serverMs: the API's clock; atMs: the steady clock. */
  heard(throughMs, serverMs, atMs) {
    // after a pause of our own it is not known when it last moved: it has the same time again to show it
    if (throughMs !== this.#throughMs || atMs - this.#heardAt > STILL_MS) this.#movedAt = atMs;
    this.#throughMs = throughMs;
    this.#clockMs = serverMs - atMs;
    this.#heardAt = atMs;
    this.#isAway = false;
  }

  /** No answer came. */
  missed() {
    this.#isAway = true;
  }

  /** { state, throughMs, nowMs }: `waiting`, `none`, `live`, `stale` or `away`. atMs: the steady clock. */
  at(atMs) {
    const nowMs = this.#clockMs + atMs;
    return { state: this.#state(atMs, nowMs), throughMs: this.#throughMs, nowMs };
  }

  #state(atMs, nowMs) {
    if (this.#isAway) return "away";
    if (this.#throughMs === undefined) return "waiting";
    if (this.#throughMs === null) return "none";
    const isStill = this.#heardAt - this.#movedAt >= STILL_MS;
    return isStill || this.#heardAt + this.#clockMs - this.#throughMs > BEHIND_MS ? "stale" : "live";
  }
}
