// Where the lines of a log come from: slices as JSON, the live stream as server-sent events. Knows nothing of the page.
//
// A slice is {text, first_line, times, next, end}; answers to `lines` and `tail` also have n_lines and n_bytes.

const RETRY_MS = 1000;
const RETRY_MAX_MS = 15_000;

export class LogSource extends EventTarget {
  /** `src` answers ?tail=N, ?first=N&n=M and ?search=…; `stream` (may be missing) sends the events. */
  constructor(src, stream) {
    super();
    this.src = src;
    this.streamAddress = stream;
    this.offset = 0;
    this.retryMs = RETRY_MS;
  }

  tail(count) {
    return this.#ask({ tail: count });
  }

  lines(first, count) {
    return this.#ask({ first, n: count });
  }

  search(pattern, regular) {
    return this.#ask(regular ? { search: pattern, regular: 1 } : { search: pattern });
  }

  /** Events "slice" (detail: the slice) from `offset` on, then one "end" or "denied"; "stale" (detail: lost or not) in between. */
  follow(offset) {
    this.offset = offset;
    if (this.streamAddress) this.#open();
  }

  close() {
    clearTimeout(this.timer);
    this.events?.close();
    this.events = null;
  }

  #open() {
    const events = new EventSource(`${this.streamAddress}?after=${this.offset}`);
    this.events = events;
    events.addEventListener("open", () => {
      this.retryMs = RETRY_MS;
      this.#stale(false);
    });
    events.addEventListener("log", (event) => {
      const slice = JSON.parse(event.data);
      this.offset = slice.next;
      this.dispatchEvent(new CustomEvent("slice", { detail: slice }));
    });
    // Denied: the reader has signed out or left the project; to come back would be in vain.
    for (const last of ["end", "denied"]) {
      events.addEventListener(last, () => {
        this.close();
        this.#stale(false);
        this.dispatchEvent(new Event(last));
      });
    }
    events.addEventListener("error", () => this.#lost(events));
  }

  // The browser itself goes on after a broken connection, but gives up after an answer that is no stream (a 503).
  #lost(events) {
    this.#stale(true);
    if (events.readyState !== EventSource.CLOSED || events !== this.events) return;
    this.timer = setTimeout(() => this.#open(), this.retryMs);
    this.retryMs = Math.min(this.retryMs * 2, RETRY_MAX_MS);
  }

  async #ask(query) {
    try {
      const answer = await fetch(`${this.src}?${new URLSearchParams(query)}`, { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      this.#stale(false);
      return await answer.json();
    } catch {
      this.#stale(true);
      return null;
    }
  }

  #stale(lost) {
    this.dispatchEvent(new CustomEvent("stale", { detail: lost }));
  }
}
