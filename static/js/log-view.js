// <x-log>: a log that follows its process and stays usable at a million lines, because only a window of it is in the page.
//
// Spacers above and below stand for the lines that are not there, so that the scroll bar covers the whole log. The
// template has the parts, found by data-log="…"; log-toolbar.js has the buttons.

import { foundRow, rowsOf, splitLines } from "./log-rows.js";
import { LogSource } from "./log-source.js";
import { bindToolbar } from "./log-toolbar.js";

const WINDOW = 3000; // lines in the page at most
const STEP = 500; // lines that are fetched at a time
const NEAR_PX = 600; // this close to the end of the window more is fetched
const SPACER_MAX_PX = 12e6; // browsers cut off heights beyond some 17 million
const PERMALINK = /^#L(\d+)(?:-L(\d+))?$/;

class LogView extends HTMLElement {
  connectedCallback() {
    this.lines = this.part("lines");
    this.scroller = this.part("scroller");
    this.first = 1; // number of the first line in the page
    this.last = 0; // number of the last line in the page
    this.known = 0; // number of the last line there is, as far as we know
    this.missed = 0; // lines that came while the page was not at the end
    this.marked = null;
    this.following = !PERMALINK.test(location.hash);
    this.source = new LogSource(this.dataset.src, this.dataset.stream);
    this.source.addEventListener("slice", (event) => this.received(event.detail));
    this.source.addEventListener("stale", (event) => this.classList.toggle("is-stale", event.detail));
    this.source.addEventListener("end", () => this.classList.add("is-ended"));
    this.source.addEventListener("denied", () => this.classList.add("is-denied"));
    this.unbindToolbar = bindToolbar(this);
    this.scroller.addEventListener("scroll", () => this.scrolled(), { passive: true });
    this.onHash = () => this.openPermalink();
    window.addEventListener("hashchange", this.onHash);
    this.open();
  }

  disconnectedCallback() {
    this.source.close();
    this.unbindToolbar();
    window.removeEventListener("hashchange", this.onHash);
  }

  part(name) {
    return this.querySelector(`[data-log="${name}"]`);
  }

  async open() {
    if (!(await this.openPermalink())) await this.openEnd();
    this.source.follow(this.offset ?? 0);
  }

  async openEnd() {
    const slice = await this.source.tail(STEP);
    if (!slice) return;
    this.offset ??= slice.next;
    this.replace(slice);
    this.toEnd();
  }

  /** Shows and marks the lines that the address names; false if it names none or they are not there. */
  async openPermalink() {
    const match = PERMALINK.exec(location.hash);
    if (!match) return false;
    const from = Number(match[1]);
    const slice = await this.source.lines(Math.max(1, from - STEP / 2), STEP);
    if (!slice || slice.text === "" || from > slice.n_lines) return false;
    this.setFollow(false);
    this.offset ??= slice.n_bytes;
    this.replace(slice);
    this.mark(from, Number(match[2] ?? from));
    this.centre(from);
    this.scrollIntoView({ block: "nearest" });
    return true;
  }

  mark(from, to) {
    this.marked = [Math.min(from, to), Math.max(from, to)];
    this.paintMarks();
  }

  paintMarks() {
    if (!this.marked) return;
    for (const row of this.lines.children) {
      const n = Number(row.dataset.n);
      row.classList.toggle("is-marked", n >= this.marked[0] && n <= this.marked[1]);
    }
  }

  /** The number link was chosen; with `extend` the mark grows from where it began. */
  select(n, extend) {
    const from = extend && this.marked ? this.marked[0] : n;
    this.mark(from, n);
    const [low, high] = this.marked;
    history.replaceState(null, "", low === high ? `#L${low}` : `#L${low}-L${high}`);
    this.setFollow(false);
  }

  received(slice) {
    const lines = splitLines(slice.text);
    const skip = Math.max(0, this.known - slice.first_line + 1); // after a new connection some come twice
    const fresh = { ...slice, first_line: slice.first_line + skip, lines: lines.slice(skip), times: slice.times?.slice(skip) };
    if (fresh.lines.length === 0) return;
    const atEnd = this.last === this.known;
    this.known = fresh.first_line + fresh.lines.length - 1;
    if (atEnd && (this.following || this.lines.childElementCount + fresh.lines.length <= WINDOW)) this.append(fresh);
    else this.layOut();
    if (this.following) this.toEnd();
    else this.missed += fresh.lines.length;
    this.showMissed();
  }

  replace(slice) {
    this.lines.replaceChildren();
    this.first = Math.max(1, slice.first_line);
    this.last = this.first - 1;
    this.append(slice);
  }

  append(slice) {
    const lines = slice.lines ?? splitLines(slice.text);
    const skip = Math.max(0, this.last + 1 - slice.first_line, lines.length - WINDOW);
    if (skip > 0 && slice.first_line + skip > this.last + 1) {
      this.lines.replaceChildren();
      this.first = slice.first_line + skip;
    }
    this.lines.append(rowsOf(lines.slice(skip), slice.times?.slice(skip), slice.first_line + skip));
    this.last = Math.max(this.last, slice.first_line + lines.length - 1);
    for (let over = this.lines.childElementCount - WINDOW; over > 0; over -= 1) {
      this.lines.firstElementChild.remove();
      this.first += 1;
    }
    this.settle(slice);
  }

  prepend(slice) {
    const lines = splitLines(slice.text).slice(0, this.first - slice.first_line);
    this.lines.prepend(rowsOf(lines, slice.times, slice.first_line));
    this.first = slice.first_line;
    for (let over = this.lines.childElementCount - WINDOW; over > 0; over -= 1) {
      this.lines.lastElementChild.remove();
      this.last -= 1;
    }
    this.settle(slice);
  }

  settle(slice) {
    this.known = Math.max(this.known, slice.n_lines ?? 0, this.last);
    this.part("empty")?.toggleAttribute("hidden", this.known > 0);
    this.layOut();
    this.paintMarks();
  }

  /** The height of the spacers; a line out of sight counts as one unwrapped line. */
  layOut() {
    const line = this.lineHeight();
    this.part("above").style.height = `${(this.first - 1) * line}px`;
    this.part("below").style.height = `${Math.max(0, this.known - this.last) * line}px`;
  }

  lineHeight() {
    this.height ??= parseFloat(getComputedStyle(this.scroller).lineHeight) || 20;
    return Math.min(this.height, SPACER_MAX_PX / Math.max(1, this.known));
  }

  scrolled() {
    const { scrollTop, scrollHeight, clientHeight } = this.scroller;
    const atBottom = scrollHeight - scrollTop - clientHeight < 8;
    if (!atBottom && this.following && scrollTop < (this.lastTop ?? 0)) this.setFollow(false);
    this.lastTop = scrollTop;
    if (atBottom && this.last === this.known && this.missed > 0) {
      this.missed = 0;
      this.showMissed();
    }
    this.fill();
  }

  /** Fetches what the reader is about to see; one fetch at a time, then looks again. */
  async fill() {
    if (this.filling) return;
    this.filling = true;
    while (await this.fillOnce());
    this.filling = false;
  }

  async fillOnce() {
    const { scrollTop, clientHeight } = this.scroller;
    const top = this.part("above").offsetHeight;
    const bottom = top + this.lines.offsetHeight;
    if (scrollTop + clientHeight < top || scrollTop > bottom) return this.jump(scrollTop, top, bottom);
    if (scrollTop - top < NEAR_PX && this.first > 1) {
      const from = Math.max(1, this.first - STEP);
      const slice = await this.source.lines(from, this.first - from);
      if (!slice) return false;
      const before = this.lines.firstElementChild;
      const place = before?.getBoundingClientRect().top ?? 0;
      this.prepend(slice);
      if (before?.isConnected) this.scroller.scrollTop += before.getBoundingClientRect().top - place;
      return true;
    }
    if (bottom - scrollTop - clientHeight < NEAR_PX && this.last < this.known) {
      const slice = await this.source.lines(this.last + 1, STEP);
      if (!slice || slice.text === "") return false;
      const before = this.lines.lastElementChild;
      const place = before?.getBoundingClientRect().top ?? 0;
      this.append(slice);
      if (before?.isConnected) this.scroller.scrollTop += before.getBoundingClientRect().top - place;
      return true;
    }
    return false;
  }

  /** The scroll bar was dragged to where no line is: a new window around that place. */
  async jump(scrollTop, top, bottom) {
    const line = this.lineHeight();
    const wanted = scrollTop < top ? Math.floor(scrollTop / line) + 1 : this.last + 1 + Math.floor((scrollTop - bottom) / line);
    const n = Math.min(Math.max(1, wanted), this.known);
    const slice = await this.source.lines(Math.max(1, n - STEP / 2), STEP);
    if (!slice || slice.text === "") return false;
    if (Math.abs(this.scroller.scrollTop - scrollTop) > this.scroller.clientHeight) return true; // dragged on meanwhile
    this.replace(slice);
    const row = this.lines.querySelector(`[data-n="${n}"]`);
    if (row) this.scroller.scrollTop = row.offsetTop - this.scroller.offsetTop;
    return true;
  }

  async setFollow(on) {
    this.following = on;
    this.part("follow")?.setAttribute("aria-pressed", String(on));
    if (!on) return;
    this.missed = 0;
    this.showMissed();
    if (this.last < this.known) {
      const slice = await this.source.tail(STEP);
      if (slice) this.replace(slice);
    }
    this.toEnd();
  }

  toEnd() {
    this.scroller.scrollTop = this.scroller.scrollHeight;
    this.lastTop = this.scroller.scrollTop;
  }

  centre(n) {
    const row = this.lines.querySelector(`[data-n="${n}"]`);
    if (row) this.scroller.scrollTop = row.offsetTop - this.scroller.offsetTop - this.scroller.clientHeight / 3;
    this.lastTop = this.scroller.scrollTop;
  }

  showMissed() {
    const button = this.part("missed");
    button.hidden = this.missed === 0;
    button.querySelector("[data-count]").textContent = this.missed.toLocaleString();
  }

  /** Lists the lines that match; an empty pattern closes the list. */
  async find(pattern, regular) {
    const box = this.part("found");
    const asked = (this.asked = {});
    if (!pattern) {
      box.hidden = true;
      return [];
    }
    this.setAttribute("aria-busy", "true");
    const answer = await this.source.search(pattern, regular);
    if (asked !== this.asked) return []; // something else has been asked for meanwhile
    this.removeAttribute("aria-busy");
    if (!answer) return [];
    const found = answer.found ?? [];
    const note = document.createElement("p");
    note.className = answer.error ? "log-found-note is-error" : "log-found-note";
    note.textContent = answer.error ?? answer.note;
    box.replaceChildren(note, ...found.map(foundRow));
    box.hidden = false;
    return found;
  }

  /** The text of the marked lines, or of all lines that are in the page. */
  copiedText() {
    const rows = [...this.lines.querySelectorAll(this.marked ? ".log-line.is-marked" : ".log-line")];
    return rows.map((row) => row.querySelector(".log-text").textContent).join("\n");
  }
}

customElements.define("x-log", LogView);
