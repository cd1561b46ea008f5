// <x-parallel>: parallel coordinates of the runs of a comparison, from the JSON inside it. The picture is parallel-plot.js, the
// list of axes parallel-panel.js; here is what is chosen, and it stands in the page's address.
//
// It fires `x-brushed` with {kept: Set of names} once it is clear which runs are kept.

import { COLOURS, SHADES, passes, placeOf, shown } from "./parallel-axes.js";
import { legendOf } from "./parallel-legend.js";
import { Panel } from "./parallel-panel.js";
import { Plot } from "./parallel-plot.js";
import { fillState, keepState, readState, statePairs } from "./parallel-state.js";
import { make, svg, svgText } from "./parallel-svg.js";
import { announce, text } from "./texts.js";

const BY_RUN = "name";
const TELL_AFTER_MS = 120;

class Parallel extends HTMLElement {
  #pinned = null;
  #active = null;
  #frame = 0;

  connectedCallback() {
    if (this.plot) return;
    this.data = JSON.parse(this.querySelector('script[type="application/json"]').textContent);
    this.axes = new Map(this.data.axes.map((axis, place) => [axis.key, Object.assign(axis, { place })]));
    this.state = readState(this.data);
    this.#build();
    this.#layout();
    this.observer = new ResizeObserver(() => this.#resized());
    this.observer.observe(this.box);
  }

  disconnectedCallback() {
    this.observer?.disconnect();
    cancelAnimationFrame(this.#frame);
    clearTimeout(this.timer);
  }

  get #shownAxes() {
    return this.state.keys.map((key) => this.axes.get(key));
  }

  #build() {
    this.box = make("div", "parallel-frame");
    this.legend = make("div", "parallel-legend");
    this.readout = make("div", "parallel-readout");
    this.holder = make("div", "");
    this.holder.hidden = true;
    this.append(this.legend, this.box, this.readout, this.#axesList(), this.holder);
    fillState(statePairs(this.data, this.state), this.holder);
    const words = { none: text("parallel_none"), runs: text("parallel_runs") };
    this.plot = new Plot(this.box, this.data.runs, words, {
      brush: (key, brush) => this.#brush(key, brush),
      brushed: () => this.#keep(),
      move: (key, place) => this.#move(key, place),
      active: (place) => this.#activate(place ?? this.#pinned),
      pinned: (place) => this.#pin(place),
    });
    this.plot.list.addEventListener("keydown", (event) => this.#key(event));
    this.#tools(this.querySelector("[data-parallel=tools]"));
    // Fields of the list are not fields of the page's form.
    this.addEventListener("change", (event) => event.stopPropagation());
  }

  #axesList() {
    const details = make("details", "disclosure parallel-axes");
    const summary = make("summary", "");
    summary.append(chevron(), text("parallel_axes"));
    this.panel = new Panel(this.data.axes, {
      brush: (key, brush) => this.#brush(key, brush),
      brushed: () => this.#keep(),
      move: (key, place) => this.#move(key, place),
      show: (key, visible) => this.#show(key, visible),
    });
    details.append(summary, this.panel.list);
    return details;
  }

  #tools(tools) {
    this.count = make("span", "small soft number");
    this.count.setAttribute("role", "status");
    this.only = button(text("parallel_only"), () => this.#compareKept());
    this.clear = button(text("parallel_clear"), () => this.#clear());
    const label = make("label", "pick-row");
    const caption = make("span", "small soft");
    caption.textContent = text("parallel_colour");
    this.select = make("select", "control fit");
    const choices = [[BY_RUN, text("parallel_by_run")], ...this.data.axes.map((axis) => [axis.key, axis.title])];
    this.select.append(...choices.map(([key, title]) => new Option(title, key, false, key === this.state.colour)));
    this.select.addEventListener("change", () => {
      this.state.colour = this.select.value;
      this.#paint();
      this.#keep();
    });
    label.append(caption, this.select);
    const file = button("SVG", () => this.#download());
    file.title = text("chart_download", { kind: "SVG" });
    tools.append(this.count, this.only, this.clear, label, file);
  }

  #layout() {
    this.plot.layout(this.#shownAxes);
    this.panel.layout(this.state.keys, this.state.brushes);
    this.#paint();
  }

  #resized() {
    if (this.width === this.box.clientWidth) return;
    this.width = this.box.clientWidth;
    this.#layout();
  }

  #paint() {
    const { runs } = this.data;
    const brushes = [...this.state.brushes].map(([key, brush]) => [this.axes.get(key).place, brush]);
    this.kept = runs.map((run) => brushes.every(([place, brush]) => passes(brush, run.values[place])));
    this.classes = runs.map((run) => this.#colour(run));
    this.plot.paint(this.kept, this.classes);
    this.plot.brushed(this.state.brushes);
    this.panel.brushed(this.state.brushes);
    const n = this.kept.filter(Boolean).length;
    this.count.textContent = brushes.length ? text("parallel_kept", { n, all: runs.length }) : "";
    this.only.hidden = !brushes.length || n < 2;
    this.clear.hidden = !brushes.length;
    this.#legend();
    this.#activate(this.#pinned);
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.#tell(), TELL_AFTER_MS);
  }

  #tell() {
    const kept = new Set(this.data.runs.filter((_, place) => this.kept[place]).map((run) => run.name));
    this.dispatchEvent(new CustomEvent("x-brushed", { bubbles: true, detail: { kept } }));
  }

  #colour(run) {
    const axis = this.axes.get(this.state.colour);
    if (!axis) return `run-colour-${(run.mark % COLOURS) + 1} run-dash-${run.dash}`;
    const value = run.values[axis.place];
    if (value === null) return "is-uncoloured";
    if (axis.kind === "category") return `run-colour-${(axis.categories.indexOf(value) % COLOURS) + 1}`;
    return `parallel-shade-${Math.min(Math.floor(placeOf(axis, value) * SHADES), SHADES - 1)}`;
  }

  #legend() {
    const axis = this.axes.get(this.state.colour);
    this.legend.replaceChildren(...(axis ? legendOf(axis) : []));
  }

  #brush(key, brush) {
    if (brush) this.state.brushes.set(key, brush);
    else this.state.brushes.delete(key);
    cancelAnimationFrame(this.#frame);
    this.#frame = requestAnimationFrame(() => this.#paint());
  }

  #move(key, place) {
    const keys = this.state.keys.filter((one) => one !== key);
    keys.splice(place, 0, key);
    this.state.keys = keys;
    this.#layout();
    this.#keep();
  }

  #show(key, visible) {
    this.state.keys = this.state.keys.filter((one) => one !== key);
    if (visible) this.state.keys.push(key);
    else this.state.brushes.delete(key);
    this.#layout();
    this.#keep();
  }

  #clear() {
    this.state.brushes.clear();
    this.#paint();
    this.#keep();
    this.plot.list.focus();
  }

  #keep() {
    keepState(statePairs(this.data, this.state), this.holder);
  }

  #pin(place) {
    this.#pinned = this.#pinned === place ? null : place;
    this.#activate(this.#pinned);
  }

  #activate(place) {
    if (place === this.#active && place !== null) return;
    this.#active = place;
    this.plot.activate(place, place === null ? "" : this.classes[place]);
    this.readout.replaceChildren(...(place === null ? [this.#hint()] : this.#read(this.data.runs[place])));
  }

  #hint() {
    const hint = make("p", "small faint");
    hint.textContent = text("parallel_hint");
    return hint;
  }

  #read(run) {
    const link = Object.assign(make("a", "name"), { href: run.url, textContent: run.name });
    const facts = this.#shownAxes.map((axis) => {
      const fact = make("span", "parallel-fact");
      const value = make("strong", "number");
      value.textContent = shown(run.values[axis.place], text("parallel_none"));
      fact.append(`${axis.title} `, value);
      return fact;
    });
    return [link, ...facts];
  }

  // Arrows go from one kept run to the next, Enter opens it, Escape lets go.
  #key(event) {
    const steps = { ArrowDown: 1, ArrowRight: 1, ArrowUp: -1, ArrowLeft: -1 };
    const run = this.data.runs[this.#pinned];
    if (event.key in steps) this.#step(steps[event.key]);
    else if (event.key === "Enter" && run) location.href = run.url;
    else if (event.key === "Escape" && run) this.#pin(this.#pinned);
    else return;
    event.preventDefault();
  }

  #step(by) {
    const places = this.kept.flatMap((kept, place) => (kept ? [place] : []));
    if (!places.length) return;
    const at = places.indexOf(this.#pinned);
    this.#pinned = places[at < 0 ? 0 : (at + by + places.length) % places.length];
    this.#activate(this.#pinned);
    const run = this.data.runs[this.#pinned];
    const line = this.plot.lines[this.#pinned];
    line.setAttribute("aria-label", this.readout.textContent);
    announce(run.name);
  }

  #compareKept() {
    const kept = this.data.runs.filter((_, place) => this.kept[place]);
    const params = new URLSearchParams(location.search);
    for (const name of ["name", "names", "search", "status", "algorithm", "endpoint", "all", "without", "brush", "pick"]) params.delete(name);
    for (const run of kept) params.append("name", run.name);
    location.assign(`${this.dataset.path}?${params}`);
  }

  #download() {
    const link = document.createElement("a");
    link.href = URL.createObjectURL(new Blob([svgText(this.plot.sheets)], { type: "image/svg+xml" }));
    link.download = "parallel-coordinates.svg";
    link.click();
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  }
}

function chevron() {
  const icon = svg("svg", { class: "icon", viewBox: "0 0 24 24", width: 14, height: 14, "aria-hidden": "true" });
  icon.append(svg("path", { d: "m9 18 6-6-6-6", fill: "none", stroke: "currentColor", "stroke-width": 2 }));
  return icon;
}

function button(label, pressed) {
  const element = Object.assign(make("button", "button small"), { type: "button", textContent: label });
  element.addEventListener("click", pressed);
  return element;
}

customElements.define("x-parallel", Parallel);
