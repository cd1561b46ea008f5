// What can be known of a dataset's form before its file is sent: whether the name may be used, and whether the file has the
// label column. Said at the field when it is left, and again before sending; what cannot be known is left to the server.

import { columnsOf } from "./csv-header.js";
import { isRefused, refuse } from "./field-refusal.js";
import { announce, text } from "./texts.js";

const NAME_WITHIN_MS = 5000;
const READ_BY = ["label", "header", "encoding", "delimiter"];
const NAMES_SHOWN = 30;

export class DatasetChecks {
  #root;
  #url;

  /** Checks the form in `root`; `url` says whether a name may be used, and is empty where there is none to check. */
  constructor(root, url) {
    this.#root = root;
    this.#url = url;
    root.addEventListener("input", ({ target }) => {
      // Cleared while typing and not when the field is left: the button below must not move from under the pointer.
      if (["name", "label"].includes(target.name) && isRefused(target)) refuse(target, "");
    });
    root.addEventListener("change", ({ target }) => {
      if (target.name === "name") this.name();
      if (READ_BY.includes(target.name)) this.label();
    });
  }

  /** Whether nothing is known against sending; where something is, it stands at its field, which has the focus. */
  async pass() {
    await Promise.all([this.name({ isMissed: true }), this.label()]);
    const refused = ["name", "label"].map((name) => this.#field(name)).find((field) => field && isRefused(field));
    refused?.focus();
    return !refused;
  }

  /** Whether the name may be used; one that is not there yet is missed only with `isMissed`. */
  async name({ isMissed = false } = {}) {
    const field = this.#field("name");
    if (!field || !this.#url) return;
    const asked = field.value;
    if (!asked.trim() && !isMissed) {
      this.#say(field, "");
      return;
    }
    const answer = await fetch(`${this.#url}?${new URLSearchParams({ name: asked })}`, {
      headers: { Accept: "application/json" },
      signal: AbortSignal.timeout(NAME_WITHIN_MS),
    }).catch(() => null);
    const said = answer?.ok ? await answer.json().catch(() => null) : null;
    if (said && field.value === asked) this.#say(field, said.refusal);
  }

  /** Whether the chosen file has the label column. */
  async label() {
    const field = this.#field("label");
    const file = this.#field("file")?.files[0];
    if (!field || !file) return;
    const wanted = field.value.trim();
    const reading = Object.fromEntries(READ_BY.slice(1).map((name) => [name, this.#field(name)?.value ?? ""]));
    const columns = wanted ? await columnsOf(file, reading).catch(() => null) : null;
    if (field.value.trim() !== wanted) return;
    this.#say(field, columns?.lacks(wanted) ? unknownLabel(wanted, columns) : "");
  }

  #say(field, message) {
    if (!message && !isRefused(field)) return;
    refuse(field, message);
    if (message) announce(message);
  }

  #field(name) {
    return this.#root.querySelector(`[name="${name}"]`);
  }
}

function unknownLabel(value, { shown }) {
  const names = shown.slice(0, NAMES_SHOWN).join(", ") + (shown.length > NAMES_SHOWN ? ", …" : "");
  return text("label_unknown", { value: `'${value}'`, names, last: shown.length - 1 });
}
