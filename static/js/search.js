// <x-search>: fires `x-search` when typing has paused, never in the middle of a conversion; `/` focuses it.

import { composing } from "./ime.js";

const PAUSE_MS = 250;

class Search extends HTMLElement {
  #timer = 0;
  #sent = null;

  connectedCallback() {
    const input = this.querySelector("input");
    this.#sent = input.value;
    input.addEventListener("input", (event) => {
      if (!event.isComposing) this.#soon(input);
    });
    input.addEventListener("compositionend", () => this.#soon(input));
  }

  #soon(input) {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => {
      if (input.value === this.#sent) return;
      this.#sent = input.value;
      this.dispatchEvent(new CustomEvent("x-search", { bubbles: true }));
    }, PAUSE_MS);
  }
}

document.addEventListener("keydown", (event) => {
  if (event.key !== "/" || event.ctrlKey || event.metaKey || event.altKey || composing(event)) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  const input = document.querySelector("x-search input");
  if (!input) return;
  event.preventDefault();
  input.focus();
  input.select();
});

customElements.define("x-search", Search);
