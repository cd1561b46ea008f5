// <x-selection>: rows of a list that are ticked to be compared. What is ticked survives refreshes, filters and other pages of
// the list; see templates/inc/select_compare.html. While focus is in the list: j and k go down and up, x ticks, c compares.

import { composing } from "./ime.js";
import { announce, text } from "./texts.js";

const MAX = 500;
const ADDRESS_MAX = 28_000;

class Selection extends HTMLElement {
  #chosen = new Set();
  #settled = () => this.#show();

  connectedCallback() {
    this.form = this.querySelector("form");
    this.#chosen = new Set(this.#kept());
    this.addEventListener("change", (event) => this.#changed(event.target));
    this.addEventListener("keydown", (event) => this.#key(event));
    this.form.addEventListener("submit", () => this.#complete());
    this.#part("clear").addEventListener("click", () => this.#clear());
    document.addEventListener("htmx:afterSettle", this.#settled);
    window.addEventListener("pageshow", this.#settled);
    this.#show();
  }

  disconnectedCallback() {
    document.removeEventListener("htmx:afterSettle", this.#settled);
    window.removeEventListener("pageshow", this.#settled);
  }

  get #boxes() {
    return [...this.querySelectorAll("[data-selection=row]")];
  }

  #part(name) {
    return this.querySelector(`[data-selection=${name}]`);
  }

  #changed(box) {
    if (box.matches("[data-selection=row]")) this.#choose(box.value, box.checked);
    else if (box.matches("[data-selection=all]")) this.#boxes.forEach((row) => this.#choose(row.value, box.checked));
    else return;
    this.#keep();
    this.#show();
    announce(text("selected", { n: this.#chosen.size }));
  }

  #choose(name, chosen) {
    if (chosen) this.#chosen.add(name);
    else this.#chosen.delete(name);
  }

  #clear() {
    this.#chosen.clear();
    this.#keep();
    this.#show();
    this.#boxes[0]?.focus();
  }

  #show() {
    const n = this.#chosen.size;
    const boxes = this.#boxes;
    const hidden = n - boxes.filter((box) => this.#chosen.has(box.value)).length;
    for (const box of boxes) box.checked = this.#chosen.has(box.value);
    this.form.hidden = n === 0;
    this.#part("clear").hidden = this.#part("keys").hidden = false;
    this.#part("note").textContent = this.#said(n, hidden);
    this.#part("compare").disabled = n < 2 || n > MAX || this.#tooLong;
    const all = this.#part("all");
    if (!all) return;
    all.hidden = false;
    all.checked = boxes.length > 0 && boxes.every((box) => box.checked);
    all.indeterminate = !all.checked && boxes.some((box) => box.checked);
  }

  /** Whether the names are more than a server takes in an address. */
  get #tooLong() {
    return [...this.#chosen].reduce((length, name) => length + name.length + "&name=".length, 0) > ADDRESS_MAX;
  }

  #said(n, hidden) {
    if (n > MAX) return text("selected_too_many", { n, max: MAX });
    if (this.#tooLong) return text("selected_too_long", { n });
    if (n === 1) return text("selected_one");
    return hidden ? text("selected_hidden", { n, hidden }) : text("selected", { n });
  }

  // What is ticked on other pages of the list goes with the form too, in the order in which it was ticked.
  #complete() {
    this.form.querySelectorAll("[data-selection=more]").forEach((input) => input.remove());
    const shown = new Set(this.#boxes.map((box) => box.value));
    for (const name of this.#chosen) {
      if (shown.has(name)) continue;
      const input = document.createElement("input");
      Object.assign(input, { type: "hidden", name: "name", value: name });
      input.dataset.selection = "more";
      this.form.append(input);
    }
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || composing(event)) return;
    if (event.target.closest("textarea, select, input:not([type=checkbox]), [contenteditable]")) return;
    const box = event.target.closest("tr")?.querySelector("[data-selection=row]");
    if (event.key === "x" && box) box.click();
    else if (event.key === "c") this.#part("compare").click();
    else if (event.key === "j") this.#step(box, 1);
    else if (event.key === "k") this.#step(box, -1);
    else return;
    event.preventDefault();
  }

  #step(box, by) {
    const boxes = this.#boxes;
    const place = boxes.indexOf(box) + by;
    boxes[Math.max(0, Math.min(boxes.length - 1, place))]?.focus();
  }

  get #storage() {
    return `selection:${location.pathname}`;
  }

  #kept() {
    try {
      return JSON.parse(sessionStorage.getItem(this.#storage) ?? "[]");
    } catch {
      return [];
    }
  }

  #keep() {
    try {
      sessionStorage.setItem(this.#storage, JSON.stringify([...this.#chosen]));
    } catch {
      // A browser that keeps nothing for us forgets what was ticked on the next page; nothing else is lost.
    }
  }
}

customElements.define("x-selection", Selection);
