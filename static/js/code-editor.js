// <x-code>: the files of a source in one editor with syntax colours. Each file is a textarea, which is the form's field and
// what is there without scripts; the editor writes what is typed into it.
//
// The template has the parts, found by data-code="…". `#train.py:L12` in the address opens a file at a line.

import { loadAce, modeOf, PAGE_THEME } from "./ace.js";
import { composing } from "./ime.js";
import { post, replaceForm } from "./job-form.js";
import { announce, text } from "./texts.js";

const PERMALINK = /^#(.+?):L(\d+)$/;
const PLAIN = "code-plain"; // kept by the browser: whoever needs the plain text box needs it always

class CodeEditor extends HTMLElement {
  connectedCallback() {
    this.files = new Map();
    this.form = this.closest("form");
    for (const holder of this.querySelectorAll("[data-code=file]")) this.#know(holder);
    this.part("files").hidden = this.part("bar").hidden = false;
    this.#bind();
    this.plain = localStorage.getItem(PLAIN) === "1"; // before a file is opened, which would begin the editor
    this.open(this.files.has(this.dataset.entry) ? this.dataset.entry : this.files.keys().next().value);
    this.setPlain(this.plain);
    this.#showEdited();
    this.#openPermalink();
  }

  disconnectedCallback() {
    removeEventListener("beforeunload", this.onLeave);
    removeEventListener("hashchange", this.onHash);
    this.form.removeEventListener("click", this.onDiscard);
    this.form.removeEventListener("htmx:confirm", this.onDiscard);
    this.editor?.destroy();
  }

  part(name) {
    return this.querySelector(`[data-code="${name}"]`);
  }

  get dirty() {
    return this.removedSome || [...this.files.values()].some((file) => file.dirty);
  }

  #bind() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button[data-code]");
      const act = { open: "#pressed", plain: "#togglePlain", remove: "#remove", new: "#begin", save: "save" }[button?.dataset.code];
      if (!act) return;
      event.preventDefault();
      if (act === "#pressed") this.open(button.dataset.path);
      if (act === "#togglePlain") this.setPlain(!this.plain);
      if (act === "#remove") this.remove(this.present);
      if (act === "#begin") this.begin(this.part("new-name").value.trim());
      if (act === "save") this.save();
    });
    this.part("new-name").addEventListener("keydown", (event) => {
      if (event.key !== "Enter" || composing(event)) return;
      event.preventDefault();
      this.begin(event.target.value.trim());
    });
    this.addEventListener("keydown", (event) => {
      if (event.key.toLowerCase() !== "s" || !(event.ctrlKey || event.metaKey) || event.altKey || composing(event)) return;
      event.preventDefault();
      this.save();
    });
    // What is typed into the files changes no other part of the form.
    for (const kind of ["input", "change"]) {
      this.addEventListener(kind, (event) => {
        const holder = event.target.closest("[data-code=file]");
        if (holder && event.target.matches("textarea")) this.#typed(this.files.get(holder.dataset.path));
        if (!event.target.matches("input[type=file]")) event.stopPropagation();
      });
    }
    this.form.elements["script.entry_point"].addEventListener("change", (event) => this.#markEntry(event.target.value));
    this.form.addEventListener("submit", () => {
      this.leaving = true;
      // A line of this page is none of the page that follows.
      if (location.hash) history.replaceState(null, "", location.pathname + location.search);
    });
    this.onDiscard = (event) => this.#askBefore(event);
    this.form.addEventListener("click", this.onDiscard);
    this.form.addEventListener("htmx:confirm", this.onDiscard);
    this.onLeave = (event) => {
      if (this.dirty && !this.leaving) event.preventDefault();
    };
    this.onHash = () => this.#openPermalink();
    addEventListener("beforeunload", this.onLeave);
    addEventListener("hashchange", this.onHash);
  }

  /** Other files, or another algorithm, take what was typed away. */
  #askBefore(event) {
    const swaps = event.type === "htmx:confirm" && event.target.name === "algorithm";
    const clears = event.type === "click" && event.target.closest("button[name=intent][value=clear]");
    if ((swaps || clears) && this.dirty && !confirm(text("code_discard"))) event.preventDefault();
    if (swaps && event.defaultPrevented) this.form.querySelector("input[name=algorithm][value=script]").checked = true;
  }

  #know(holder) {
    const { path } = holder.dataset;
    const area = holder.querySelector("textarea");
    const fresh = "fresh" in holder.dataset;
    const changed = "changed" in holder.dataset;
    const item = this.part("item").content.cloneNode(true).firstElementChild;
    const button = item.querySelector("button");
    button.dataset.path = path;
    button.querySelector(".code-path").textContent = path;
    const file = { path, holder, area, item, button, saved: changed ? null : (area?.value ?? ""), dirty: fresh || changed, fresh, session: null };
    this.files.set(path, file);
    this.part("files").append(item);
    this.#showDirty(file);
    this.#markEntry(this.dataset.entry);
    return file;
  }

  open(path) {
    const file = this.files.get(path);
    if (!file) return;
    this.present = path;
    for (const one of this.files.values()) {
      one.holder.hidden = one !== file;
      if (one === file) one.button.setAttribute("aria-current", "true");
      else one.button.removeAttribute("aria-current");
    }
    this.part("title").textContent = path;
    this.part("remove").hidden = this.files.size < 2;
    if (file.area) this.#showEditor(file);
    else this.box?.setAttribute("hidden", "");
  }

  async #showEditor(file) {
    if (this.plain) return;
    this.making ??= this.#makeEditor().catch(() => null); // once, however often a file is opened meanwhile
    this.editor = await this.making;
    if (!this.editor || !this.isConnected || this.present !== file.path || this.plain) return;
    if (!file.session) {
      file.session = window.ace.createEditSession(file.area.value, modeOf(file.path));
      file.session.setUseWorker(false);
      file.session.setUseSoftTabs(true);
      file.session.setTabSize(4);
      this.#annotate(file);
      file.session.on("change", () => {
        file.area.value = file.session.getValue();
        this.#typed(file);
      });
    }
    file.holder.before(this.box);
    this.box.hidden = false;
    file.area.hidden = true;
    file.holder.classList.add("is-edited");
    this.editor.setSession(file.session);
    this.editor.setOption("textInputAriaLabel", file.path);
    this.editor.resize();
    // Its height has moved what was refused.
    const { activeElement } = document;
    if (activeElement?.matches("[aria-invalid=true], .form-errors")) activeElement.scrollIntoView({ block: "center" });
  }

  /** The line that the compiler refused has its message in the gutter until something is typed. */
  #annotate(file) {
    const { wrongPath, wrongLine, wrongText } = this.dataset;
    if (wrongPath !== file.path) return;
    file.session.setAnnotations([{ row: Number(wrongLine) - 1, column: 0, text: wrongText, type: "error" }]);
    file.session.once("change", () => file.session.clearAnnotations());
  }

  async #makeEditor() {
    const ace = await loadAce(this.dataset.ace);
    this.box = document.createElement("div");
    this.box.className = "code-ace";
    this.box.hidden = true; // until a file is shown in it
    this.querySelector(".code-main").append(this.box);
    const editor = ace.edit(this.box, {
      theme: PAGE_THEME,
      enableKeyboardAccessibility: true,
      fontFamily: "var(--font-mono)",
      fontSize: 13,
      scrollPastEnd: 0.2,
      showPrintMargin: false,
      useWorker: false,
    });
    editor.renderer.scroller.setAttribute("aria-label", this.dataset.help);
    editor.on("guttermousedown", (event) => {
      const line = event.getDocumentPosition().row + 1;
      history.replaceState(null, "", `#${encodeURI(this.present)}:L${line}`);
    });
    return editor;
  }

  setPlain(on) {
    this.plain = on;
    localStorage.setItem(PLAIN, on ? "1" : "0");
    this.part("plain").setAttribute("aria-pressed", String(on));
    this.part("help").hidden = on; // its keys are the editor's
    const file = this.files.get(this.present);
    if (on) {
      this.box?.setAttribute("hidden", "");
      for (const one of this.files.values()) {
        if (one.area) one.area.hidden = false;
        one.session = null;
        one.holder.classList.remove("is-edited");
      }
    } else if (file?.area) {
      this.#showEditor(file);
    }
  }

  begin(path) {
    if (!path) return;
    if (!this.files.has(path)) {
      const holder = this.part("blank").content.cloneNode(true).firstElementChild;
      holder.dataset.path = path;
      holder.querySelector("input").value = path;
      const area = holder.querySelector("textarea");
      area.name = `file.${path}`;
      area.id = `file-new-${this.files.size}`;
      holder.querySelector("label").htmlFor = area.id;
      holder.querySelector("label").textContent = path;
      this.part("blank").before(holder);
      this.#know(holder);
      for (const gone of this.form.querySelectorAll("input[name='script.removed']")) if (gone.value === path) gone.remove();
      this.#entryPoints();
    }
    this.part("new-name").value = "";
    this.open(path);
    this.#showEdited();
    this.editor?.focus();
  }

  remove(path) {
    const file = this.files.get(path);
    if (!file || this.files.size < 2) return;
    if (path === this.form.elements["script.entry_point"].value && !confirm(text("code_remove_entry", { path }))) return;
    if (!file.fresh) {
      const gone = Object.assign(document.createElement("input"), { type: "hidden", name: "script.removed", value: path });
      this.append(gone);
      this.removedSome = true;
    }
    this.box?.remove();
    this.querySelector(".code-main").append(...(this.box ? [this.box] : []));
    file.holder.remove();
    file.item.remove();
    this.files.delete(path);
    this.#entryPoints();
    this.open(this.files.keys().next().value);
    this.#showEdited();
    announce(text("code_removed", { path }));
  }

  /** Stores the files without starting a job; the page and the cursor stay. */
  async save() {
    if (!this.dirty) return this.#say(text("code_saved"));
    const before = new Map([...this.files].map(([path, file]) => [path, file.area?.value ?? ""]));
    const answer = await post(this.form, { intent: "save" });
    if (!answer) return this.#say(text("form_lost"));
    const stored = answer.page.querySelector("input[name='script.source']")?.value;
    if (!answer.ok || !stored) return replaceForm(this.form, answer.page);
    this.form.elements["script.source"].value = stored;
    for (const gone of this.form.querySelectorAll("input[name='script.removed']")) gone.remove();
    this.removedSome = false;
    for (const [path, saved] of before) {
      const file = this.files.get(path);
      if (!file) continue;
      file.saved = saved;
      file.fresh = false;
      this.#typed(file);
    }
    this.#say(text("code_saved"));
  }

  #typed(file) {
    if (!file) return;
    file.dirty = file.fresh || file.area.value !== file.saved;
    this.#showDirty(file);
    this.#showEdited();
  }

  #showDirty(file) {
    file.button.querySelector(".code-dirty").hidden = !file.dirty;
  }

  #showEdited() {
    const { dirty } = this;
    const field = this.form.elements["script.edited"];
    this.part("state").textContent = dirty ? text("code_edited") : "";
    if (field.value === (dirty ? "1" : "")) return;
    field.value = dirty ? "1" : "";
    this.form.dispatchEvent(new Event("change", { bubbles: true })); // the API call names the source, or how to send it
  }

  #markEntry(entry) {
    for (const file of this.files.values()) file.button.querySelector("[data-code=entry]").hidden = file.path !== entry;
  }

  #entryPoints() {
    const select = this.form.elements["script.entry_point"];
    const scripts = [...this.files.keys()].filter((path) => path.endsWith(".py"));
    if (select.tagName !== "SELECT" || scripts.length === 0) return;
    // inference.py is what a model is served by: it trains nothing, and is the entry point only where it is chosen.
    const training = scripts.find((path) => path.split("/").pop() !== "inference.py");
    const chosen = scripts.includes(select.value) ? select.value : (training ?? "");
    if (!chosen) scripts.unshift("");
    select.replaceChildren(...scripts.map((path) => new Option(path, path, false, path === chosen)));
    this.#markEntry(chosen);
  }

  async #openPermalink() {
    const match = PERMALINK.exec(decodeURIComponent(location.hash));
    const file = match && this.files.get(match[1]);
    if (!file?.area) return;
    this.open(match[1]);
    await this.#showEditor(file);
    if (!this.plain) this.editor?.gotoLine(Number(match[2]), 0, false);
    this.scrollIntoView({ block: "start" });
  }

  #say(words) {
    this.part("state").textContent = words;
    announce(words);
  }
}

customElements.define("x-code", CodeEditor);
