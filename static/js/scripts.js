// What the form of a script's job adds to jobs.js.

import "./code-editor.js";
import "./source-drop.js";

// An example is told the label of the data in a hyperparameter; other data has another label.
const LABELS = new Set(["label", "target"]);

document.addEventListener("change", (event) => {
  const { target } = event;
  if (target.name !== "channel_row.dataset") return;
  const channel = target.closest("[data-row]").querySelector("[name='channel_row.name']");
  const { label } = target.selectedOptions[0]?.dataset ?? {};
  if (channel.value.trim() !== "train" || !label) return;
  const known = new Set([...target.options].map((one) => one.dataset.label));
  for (const name of target.form.querySelectorAll("[name='hyperparameter.name']")) {
    const value = name.closest("[data-row]").querySelector("[name='hyperparameter.value']");
    const untouched = known.has(value.value) || value.value === value.defaultValue;
    if (LABELS.has(name.value.trim()) && untouched) value.value = label;
  }
});

// What is asked while a form is filled in needs no text of the files: their paths and `script.edited` say enough.
document.addEventListener("htmx:configRequest", (event) => {
  const { elt, parameters } = event.detail;
  if (!elt.closest("[data-without-files]")) return;
  for (const name of [...parameters.keys()]) {
    if (name.startsWith("file.") || name === "files") parameters.delete(name);
  }
});
