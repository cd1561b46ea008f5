// The axes of parallel coordinates as a list: which are drawn, in which order, what is kept on each. Everything that the
// pointer does in the picture is done here with the keyboard.
//
// It tells `on`: show(key, shown), move(key, place), brush(key, brush), brushed().

import { composing } from "./ime.js";
import { typed } from "./parallel-axes.js";
import { text } from "./texts.js";

export class Panel {
  constructor(axes, on) {
    this.axes = axes;
    this.on = on;
    this.list = document.createElement("ol");
    this.list.className = "parallel-list";
    this.list.setAttribute("role", "list");
  }

  /** Draws the list: `keys` are the shown axes in their order, the others follow. */
  layout(keys, brushes) {
    const focused = document.activeElement?.dataset?.panel;
    const byKey = new Map(this.axes.map((axis) => [axis.key, axis]));
    const hidden = this.axes.filter((axis) => !keys.includes(axis.key));
    const rows = [
      ...keys.map((key, place) => this.#row(byKey.get(key), place, keys.length)),
      ...hidden.map((axis) => this.#row(axis, null, keys.length)),
    ];
    this.list.replaceChildren(...rows);
    this.brushed(brushes);
    if (focused) this.list.querySelector(`[data-panel="${CSS.escape(focused)}"]`)?.focus();
  }

  /** Puts the brushes into the fields; a field that is being typed in is left alone. */
  brushed(brushes) {
    for (const field of this.list.querySelectorAll("[data-bound]")) {
      if (field === document.activeElement) continue;
      const brush = brushes.get(field.dataset.key);
      field.value = brush?.[field.dataset.bound] ?? "";
    }
    for (const box of this.list.querySelectorAll("[data-category]")) {
      const picks = brushes.get(box.dataset.key)?.picks;
      box.checked = !picks || picks.has(box.dataset.category);
    }
  }

  #row(axis, place, n) {
    const row = document.createElement("li");
    row.className = place === null ? "parallel-row is-hidden" : "parallel-row";
    row.append(this.#shown(axis, place));
    if (place === null) return row;
    row.append(axis.kind === "category" ? this.#categories(axis) : this.#bounds(axis));
    row.append(this.#arrow(axis, place - 1, "←", "parallel_left", place === 0));
    row.append(this.#arrow(axis, place + 1, "→", "parallel_right", place === n - 1));
    return row;
  }

  #shown(axis, place) {
    const label = document.createElement("label");
    label.className = "pick-row";
    const box = Object.assign(document.createElement("input"), { type: "checkbox", checked: place !== null });
    box.dataset.panel = `show ${axis.key}`;
    box.addEventListener("change", () => this.on.show(axis.key, box.checked));
    const title = document.createElement("span");
    title.className = "truncate";
    title.title = axis.title;
    title.textContent = axis.title;
    label.append(box, title);
    return label;
  }

  #bounds(axis) {
    const group = document.createElement("span");
    group.className = "parallel-bounds";
    const fields = ["low", "high"].map((end) => {
      const field = document.createElement("input");
      Object.assign(field, { type: "text", inputMode: "decimal", className: "control", autocomplete: "off" });
      field.placeholder = String(Number(axis[end].toPrecision(4)));
      field.setAttribute("aria-label", text(end === "low" ? "parallel_from" : "parallel_to", { axis: axis.title }));
      Object.assign(field.dataset, { bound: end, key: axis.key, panel: `${end} ${axis.key}` });
      field.addEventListener("change", () => this.#bounded(axis, fields));
      field.addEventListener("keydown", (event) => {
        if (event.key !== "Enter" || composing(event)) return;
        event.preventDefault();
        this.#bounded(axis, fields);
      });
      return field;
    });
    group.append(fields[0], "–", fields[1]);
    return group;
  }

  #bounded(axis, fields) {
    const [low, high] = fields.map((field) => typed(field.value));
    fields.forEach((field) => field.setAttribute("aria-invalid", String(Boolean(field.value.trim()) && typed(field.value) === null)));
    this.on.brush(axis.key, low === null && high === null ? null : { low, high });
    this.on.brushed();
  }

  #categories(axis) {
    const group = document.createElement("span");
    group.className = "parallel-categories";
    for (const category of axis.categories) {
      const label = document.createElement("label");
      label.className = "pick-row";
      const box = Object.assign(document.createElement("input"), { type: "checkbox" });
      Object.assign(box.dataset, { category, key: axis.key, panel: `pick ${axis.key} ${category}` });
      box.setAttribute("aria-label", text("parallel_keep", { axis: axis.title, category }));
      box.addEventListener("change", () => this.#picked(axis, group));
      label.append(box, category);
      group.append(label);
    }
    return group;
  }

  #picked(axis, group) {
    const picks = new Set([...group.querySelectorAll(":checked")].map((box) => box.dataset.category));
    this.on.brush(axis.key, picks.size === axis.categories.length ? null : { picks });
    this.on.brushed();
  }

  #arrow(axis, place, sign, label, disabled) {
    const button = Object.assign(document.createElement("button"), { type: "button", disabled, textContent: sign });
    button.className = "button quiet small square";
    button.title = text(label, { axis: axis.title });
    button.setAttribute("aria-label", button.title);
    button.dataset.panel = `${sign} ${axis.key}`;
    button.addEventListener("click", () => this.on.move(axis.key, place));
    return button;
  }
}
