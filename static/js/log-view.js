// <x-log>: a log that follows its process, and stays usable at a million lines because only a window of it is in the page.
//
// The toolbar is in the template; this element finds its parts by data-log="…". Sources:
//   data-src     JSON {text, first_line, times, next, end, n_lines}; ?tail=N, ?first=N&n=M, ?search=…
//   data-stream  server-sent events with the same JSON, from ?after=<offset>

import { collapse, render } from "./ansi.js";

const WINDOW = 4000;
const STEP = 500;
const PERMALINK = /^#L(\d+)(?:-L(\d+))?$/;

class LogView extends HTMLElement {
  connectedCallback() {
    this.lines = this.part("lines");
    this.scroller = this.part("scroller");
    this.first = 1; // number of the first line in the page
    this.last = 0; // number of the last line in the page
    this.known = 0; // number of the last line there is, as far as we know
    this.missed = 0; // lines that came while the page was not at the end
    this.busy = false;
    this.following = !PERMALINK.test(location.hash);
    this.bindToolbar();
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.lines.addEventListener("click", (event) => this.numberClicked(event));
    window.addEventListener("hashchange", this.onHash = () => this.openPermalink());
    this.open();
  }

  disconnectedCallback() {
    this.source?.close();
    window.removeEventListener("hashchange", this.onHash);
  }

  part(name) {
    return this.querySelector(`[data-log="${name}"]`);
  }

  async open() {
    if (!(await this.openPermalink())) await this.openEnd();
    if (this.dataset.stream) this.stream();
  }

  async openEnd() {
    const slice = await this.fetchSlice({ tail: STEP });
    if (!slice) return;
    this.offset = slice.next;
    this.replace(slice);
    this.known = this.last;
    this.toEnd();
  }

  async openPermalink() {
    const match = PERMALINK.exec(location.hash);
    if (!match) return false;
    const from = Number(match[1]);
    const to = Number(match[2] ?? match[1]);
    const slice = await this.fetchSlice({ first: Math.max(1, from - 100), n: STEP });
    if (!slice || slice.text === "") return false;
    this.setFollow(false);
    this.replace(slice);
    this.known = Math.max(this.known, slice.n_lines);
    this.offset ??= slice.n_bytes;
    this.mark(from, to);
    return true;
  }

  mark(from, to) {
    for (const row of this.lines.children) {
      const n = Number(row.dataset.n);
      row.classList.toggle("is-marked", n >= from && n <= to);
    }
    this.lines.querySelector(".is-marked")?.scrollIntoView({ block: "center" });
  }

  async fetchSlice(query) {
    const address = `${this.dataset.src}?${new URLSearchParams(query)}`;
    try {
      const response = await fetch(address, { headers: { Accept: "application/json" } });
      if (!response.ok) throw new Error(String(response.status));
      this.classList.remove("is-stale");
      return await response.json();
    } catch {
      this.classList.add("is-stale");
      return null;
    }
  }

  stream() {
    this.source = new EventSource(`${this.dataset.stream}?after=${this.offset ?? 0}`);
    this.source.addEventListener("log", (event) => this.received(JSON.parse(event.data)));
    this.source.addEventListener("end", () => {
      this.source.close();
      this.classList.remove("is-stale");
      this.classList.add("is-ended");
    });
    this.source.onopen = () => this.classList.remove("is-stale");
    this.source.onerror = () => this.classList.add("is-stale");
  }

  received(slice) {
    this.offset = slice.next;
    const atEnd = this.last === this.known;
    const count = countLines(slice.text);
    this.known = Math.max(this.known, slice.first_line + count - 1);
    if (atEnd && (this.following || this.lines.childElementCount < WINDOW)) this.append(slice);
    if (this.following) this.toEnd();
    else this.missed += count;
    this.showMissed();
  }

  replace(slice) {
    this.lines.replaceChildren();
    this.first = Math.max(1, slice.first_line);
    this.last = this.first - 1;
    this.append(slice);
  }

  append(slice) {
    const rows = this.rows(slice, this.last + 1);
    this.lines.append(rows);
    this.last = Number(this.lines.lastElementChild?.dataset.n ?? this.last);
    while (this.lines.childElementCount > WINDOW) {
      this.lines.firstElementChild.remove();
      this.first += 1;
    }
    this.part("empty")?.toggleAttribute("hidden", this.last > 0);
  }

  prepend(slice) {
    const height = this.scroller.scrollHeight;
    this.lines.prepend(this.rows(slice, 1, this.first - 1));
    this.first = Number(this.lines.firstElementChild.dataset.n);
    while (this.lines.childElementCount > WINDOW) {
      this.lines.lastElementChild.remove();
      this.last -= 1;
    }
    this.scroller.scrollTop += this.scroller.scrollHeight - height;
  }

  rows(slice, atLeast, atMost = Infinity) {
    const fragment = document.createDocumentFragment();
    let n = slice.first_line;
    for (const [i, text] of splitLines(slice.text).entries()) {
      if (n >= atLeast && n <= atMost) fragment.append(row(n, text, slice.times?.[i]));
      n += 1;
    }
    return fragment;
  }

  async scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atBottom = scrollHeight - scrollTop - clientHeight < 8;
    if (!atBottom && this.following && scrollTop < (this.lastTop ?? 0)) this.setFollow(false);
    this.lastTop = scrollTop;
    if (this.busy) return;
    this.busy = true;
    if (scrollTop < 200 && this.first > 1) {
      const from = Math.max(1, this.first - STEP);
      const slice = await this.fetchSlice({ first: from, n: this.first - from });
      if (slice) this.prepend(slice);
    } else if (atBottom && this.last < this.known) {
      const slice = await this.fetchSlice({ first: this.last + 1, n: STEP });
      if (slice) this.append(slice);
    } else if (atBottom && !this.following && this.last === this.known) {
      this.missed = 0;
      this.showMissed();
    }
    this.busy = false;
  }

  bindToolbar() {
    this.part("follow")?.addEventListener("click", () => this.setFollow(!this.following));
    this.part("missed")?.addEventListener("click", () => this.setFollow(true));
    for (const name of ["wrap", "times"]) {
      const button = this.part(name);
      button?.addEventListener("click", () => {
        const on = this.classList.toggle(`has-${name}`);
        button.setAttribute("aria-pressed", String(on));
      });
    }
    const find = this.part("find");
    find?.addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || event.isComposing || event.keyCode === 229) return;
      event.preventDefault();
      this.search(find.value);
    });
    this.part("find-button")?.addEventListener("click", () => this.search(find.value));
    this.setFollow(this.following);
  }

  async setFollow(on) {
    this.following = on;
    this.part("follow")?.setAttribute("aria-pressed", String(on));
    if (!on) return;
    this.missed = 0;
    this.showMissed();
    if (this.last < this.known) {
      const slice = await this.fetchSlice({ tail: STEP });
      if (slice) this.replace(slice);
    }
    this.toEnd();
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.lastTop = this.scroller.scrollTop;
  }

  showMissed() {
    const button = this.part("missed");
    if (!button) return;
    button.hidden = this.missed === 0;
    button.querySelector("[data-count]").textContent = this.missed.toLocaleString();
  }

  async search(pattern) {
    const box = this.part("found");
    if (!pattern) {
      box.hidden = true;
      return;
    }
    const answer = await this.fetchSlice({ search: pattern });
    if (!answer) return;
    box.replaceChildren(...(answer.error ? [document.createTextNode(answer.error)] : answer.found.map(foundRow)));
    if (!answer.error && answer.found.length === 0) box.textContent = box.dataset.none;
    box.hidden = false;
  }

  numberClicked(event) {
    const link = event.target.closest("a.log-number");
    if (!link) return;
    event.preventDefault();
    const n = Number(link.parentElement.dataset.n);
    const start = event.shiftKey ? Number(PERMALINK.exec(location.hash)?.[1] ?? n) : n;
    const [from, to] = [Math.min(start, n), Math.max(start, n)];
    history.replaceState(null, "", from === to ? `#L${from}` : `#L${from}-L${to}`);
    for (const row of this.lines.children) {
      row.classList.toggle("is-marked", Number(row.dataset.n) >= from && Number(row.dataset.n) <= to);
    }
  }
}

function row(n, text, time) {
  const item = document.createElement("div");
  item.className = "log-line";
  item.dataset.n = String(n);
  const number = document.createElement("a");
  number.className = "log-number";
  number.href = `#L${n}`;
  number.textContent = String(n);
  const at = document.createElement("time");
  if (time !== undefined) {
    const date = new Date(time);
    at.dateTime = date.toISOString();
    at.textContent = date.toLocaleTimeString([], { hour12: false }) + "." + String(date.getMilliseconds()).padStart(3, "0");
    at.title = date.toISOString();
  }
  const body = document.createElement("span");
  body.className = "log-text";
  render(collapse(text), body);
  item.append(number, at, body);
  return item;
}

function foundRow({ line, text }) {
  const link = document.createElement("a");
  link.href = `#L${line}`;
  link.className = "log-found";
  const number = document.createElement("span");
  number.textContent = String(line);
  link.append(number, ` ${text.slice(0, 300)}`);
  return link;
}

function splitLines(text) {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

function countLines(text) {
  return splitLines(text).length;
}

customElements.define("x-log", LogView);
