// The reader's unfinished uploads, listed below the drop zone: each can be discarded, and what this browser began goes on when
// its file is chosen again (no script may open it). What was typed beside the file is kept with it and put back then.

import { sizeText } from "./amounts.js";
import { discard, keptOf, note, unfinished } from "./kept-uploads.js";
import { announce, text } from "./texts.js";

const LEFT_OUT = ["csrfmiddlewaretoken", "file", "upload"];

export class Unfinished {
  #root;
  #url;
  #turn = 0;

  constructor(root, url) {
    this.#root = root;
    this.#url = url;
    root.addEventListener("change", ({ target }) => {
      if (target.type !== "file") this.keep();
    });
  }

  /** Lists them; what belongs to the chosen file says that it goes on. */
  async show() {
    const list = this.#root.querySelector(".unfinished");
    if (!list) return;
    const turn = (this.#turn += 1);
    const lines = (await unfinished(this.#url)).map((left) => this.#line(left));
    if (turn !== this.#turn) return;
    list.replaceChildren(...lines);
    this.#root.querySelector(".unfinished-said").textContent = "";
  }

  /** The values of the form, to be kept with the upload of its file. */
  values() {
    const form = this.#root.querySelector("form");
    const values = [...new FormData(form)].filter(([name]) => !LEFT_OUT.includes(name));
    return { page: location.pathname, values: Object.fromEntries(values) };
  }

  /** Keeps them with the upload of the chosen file, where there is one. */
  keep() {
    const file = this.#file();
    if (file) note(this.#url, file, this.values());
  }

  /** Puts back what was typed beside the chosen file before; what has been typed since stays. */
  putBack() {
    const file = this.#file();
    const kept = file && keptOf(this.#url, file)?.note;
    if (kept?.page !== location.pathname) return;
    for (const [name, value] of Object.entries(kept.values)) {
      const field = this.#root.querySelector(`[name="${name}"]`);
      if (!field || isTyped(field) || field.value === value) continue;
      field.value = value;
      field.closest("details")?.setAttribute("open", "");
    }
  }

  #file() {
    return this.#root.querySelector("input[type=file]")?.files[0];
  }

  #line(left) {
    const line = this.#root.querySelector("template[data-unfinished]").content.firstElementChild.cloneNode(true);
    const values = { name: left.name.normalize("NFC"), sent: sizeText(left.sent), total: sizeText(left.size) };
    line.querySelector("span").textContent = text(this.#wordsOf(left), values);
    line.querySelector("button").addEventListener("click", () => this.#discard(left, values));
    return line;
  }

  #wordsOf(left) {
    const file = this.#file();
    if (!left.isOurs) return "upload_foreign";
    if (file && keptOf(this.#url, file)?.address === left.address) return "upload_goes_on";
    return left.sent === left.size ? "upload_whole" : "upload_unfinished";
  }

  async #discard(left, values) {
    if (!(await confirmed(this.#root.querySelector("template[data-discard]"), values))) return;
    const isGone = await discard(left.address, this.#root.querySelector("[name=csrfmiddlewaretoken]").value);
    const words = text(isGone ? "upload_discarded" : "upload_not_discarded", values);
    await this.show();
    this.#root.querySelector(".unfinished-said").textContent = words;
    announce(words);
    this.#root.querySelector("input[type=file]").focus();
  }
}

// Whether the value is the reader's own: neither what the page came with nor what a chosen file proposed.
function isTyped(field) {
  if (field instanceof HTMLSelectElement) return ![...field.options].some((one) => one.selected && one.defaultSelected) && field.value !== "";
  return field.value !== field.defaultValue && field.value !== field.dataset.suggested;
}

// Asks in the one dialog of the page; `template` has what its confirmations look like.
async function confirmed(template, values) {
  const dialog = document.getElementById("dialog");
  const form = template.content.firstElementChild.cloneNode(true);
  for (const part of form.querySelectorAll("[data-fill]")) {
    part.textContent = part.textContent.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
  }
  dialog.replaceChildren(form);
  dialog.setAttribute("aria-label", form.querySelector("h2").textContent);
  dialog.returnValue = "";
  dialog.showModal();
  await new Promise((done) => dialog.addEventListener("close", done, { once: true }));
  return dialog.returnValue === "discard";
}
