// The picture of parallel coordinates as SVG: axes, a line per run, what is drawn on axes with the pointer.
//
// It knows no state of its own beyond what is drawn. It tells `on`: brush(key, brush), move(key, place), active(run or null),
// pinned(run).

import { brushBetween, placeOf, stretches } from "./parallel-axes.js";
import { drag, svg, textAt, textWidth } from "./parallel-svg.js";

const HEIGHT = 400;
const TOP = 56;
const BOTTOM = 348;
const MISSING = BOTTOM + 24;
const SIDE = 48;
const SIDE_MAX = 120;
const STEP_MIN = 76;
const LINE = 13;
const NEAR = 14;
const EDGE = 7;

export class Plot {
  #axes = [];
  #xs = [];
  #ys = [];
  #kept = [];
  #width = 0;

  constructor(frame, runs, words, on) {
    this.frame = frame;
    this.runs = runs;
    this.words = words;
    this.on = on;
    this.list = svg("g", { role: "listbox", tabindex: 0, "aria-label": words.runs, class: "parallel-lines" });
    this.lines = runs.map((run, place) => svg("path", { role: "option", id: `parallel-run-${place}`, "aria-label": run.name }));
    this.list.append(...this.lines);
    this.mark = svg("path", { class: "parallel-active" });
    this.scales = svg("g", {});
    // Three sheets over one another: what changes on one of them does not draw hundreds of lines again.
    this.sheets = [this.list, this.mark, this.scales].map((content) => {
      const sheet = svg("svg", { class: "parallel-sheet", height: HEIGHT });
      if (content !== this.list) sheet.setAttribute("aria-hidden", "true");
      sheet.append(content);
      return sheet;
    });
    this.root = document.createElement("div");
    this.root.className = "parallel-plot";
    this.root.append(...this.sheets);
    frame.append(this.root);
    this.root.addEventListener("pointermove", (event) => this.#hover(event));
    this.root.addEventListener("pointerleave", () => this.on.active(null));
    this.root.addEventListener("click", (event) => this.#click(event));
  }

  /** Draws axes and lines anew: other axes, another order, another width. */
  layout(axes) {
    const n = axes.length;
    this.#axes = axes;
    const left = n ? this.#side(axes[0]) : SIDE;
    this.#width = Math.max(this.frame.clientWidth, left + SIDE + (n - 1) * STEP_MIN);
    for (const sheet of this.sheets) {
      sheet.setAttribute("width", this.#width);
      sheet.setAttribute("viewBox", `0 0 ${this.#width} ${HEIGHT}`);
    }
    const step = n > 1 ? (this.#width - left - SIDE) / (n - 1) : 0;
    this.#xs = axes.map((_, place) => left + place * step);
    this.#ys = this.runs.map((run) => axes.map((axis) => yOf(placeOf(axis, run.values[axis.place]))));
    this.lines.forEach((line, place) => line.setAttribute("d", this.#path(place)));
    this.scales.replaceChildren(...axes.map((axis, place) => this.#scale(axis, place)));
  }

  /** Which lines are kept and how each is coloured: `classes` has a class per run. */
  paint(kept, classes) {
    this.#kept = kept;
    this.lines.forEach((line, place) => {
      line.setAttribute("class", kept[place] ? `parallel-line ${classes[place]}` : "parallel-line is-out");
    });
  }

  /** Shows on the axes what was brushed: a Map from key to brush. */
  brushed(brushes) {
    this.#axes.forEach((axis, place) => {
      const brush = brushes.get(axis.key);
      const found = brush ? stretches(axis, brush) : [];
      const boxes = found.map(([low, high]) => {
        const height = Math.max(yOf(low) - yOf(high), 3);
        return svg("rect", { class: "parallel-brush", x: -8, width: 16, y: yOf(high), height, rx: 3 });
      });
      this.scales.children[place].querySelector(".parallel-brushes").replaceChildren(...boxes);
    });
    this.brushes = brushes;
  }

  /** Draws one run over the others; null for none. */
  activate(place, colour) {
    this.mark.setAttribute("class", `parallel-active ${colour ?? ""}`);
    this.mark.setAttribute("d", place === null ? "" : this.#path(place));
    if (place === null) this.list.removeAttribute("aria-activedescendant");
    else this.list.setAttribute("aria-activedescendant", this.lines[place].id);
  }

  #path(place) {
    return this.#ys[place].map((y, at) => `${at ? "L" : "M"}${this.#xs[at].toFixed(1)} ${y.toFixed(1)}`).join("");
  }

  /** Room at the left for the labels of the first axis. */
  #side(axis) {
    const widest = Math.max(...ticksOf(axis).map(([, label]) => textWidth(label)));
    return Math.min(Math.max(SIDE, widest + 16), SIDE_MAX);
  }

  #scale(axis, place) {
    const group = svg("g", { class: "parallel-axis", transform: `translate(${this.#xs[place]} 0)` });
    const room = place === 0 ? this.#xs[0] + 6 : this.#xs[place] - this.#xs[place - 1];
    const step = this.#axes.length > 1 ? this.#xs[1] - this.#xs[0] : this.#width;
    const hit = svg("rect", { class: "parallel-hit", x: -20, width: 40, y: TOP - 8, height: BOTTOM - TOP + 16 });
    group.append(
      svg("line", { y1: TOP, y2: BOTTOM }),
      svg("g", { class: "parallel-brushes" }),
      ...this.#ticks(axis, room),
      this.#title(axis, place, step, group),
      hit,
    );
    hit.addEventListener("pointerdown", (event) => this.#brush(event, axis));
    return group;
  }

  #ticks(axis, room) {
    const labels = apart(ticksOf(axis).map(([value, label]) => [yOf(placeOf(axis, value)), label])).map(([y, label]) =>
      textAt(label, -9, y + 4, room - 22, "parallel-tick"));
    if (this.runs.some((run) => run.values[axis.place] === null)) {
      labels.push(textAt(this.words.none, -9, MISSING + 4, room - 22, "parallel-tick is-missing"));
      labels.push(svg("line", { class: "parallel-none", x1: -5, x2: 5, y1: MISSING, y2: MISSING }));
    }
    return labels;
  }

  // A title is dragged to another place; the list of axes below has buttons for the same.
  #title(axis, place, step, group) {
    const label = textAt(axis.title, 0, TOP - 30, step - 10, "parallel-title");
    const half = textWidth(label.textContent) / 2 + 4;
    const left = half - this.#xs[place];
    const right = this.#width - half - this.#xs[place];
    label.setAttribute("x", Math.min(Math.max(0, left), right));
    label.append(titleOf(axis.title));
    const here = this.#xs[place];
    label.addEventListener("pointerdown", (event) =>
      drag(event, {
        moved: (dx) => group.setAttribute("transform", `translate(${here + dx} 0)`),
        ended: (dx) => {
          const middle = here + dx;
          const distances = this.#xs.map((other) => Math.abs(other - middle));
          this.on.move(axis.key, distances.indexOf(Math.min(...distances)));
        },
      }));
    return label;
  }

  // On an empty axis a new stretch; at an edge of the old one that edge; inside of it all of it. A click takes it away.
  #brush(event, axis) {
    const begin = this.#yIn(event);
    const present = this.brushes?.get(axis.key);
    const old = present && !present.picks ? stretches(axis, present)[0] : null;
    const [low, high] = old ? [yOf(old[0]), yOf(old[1])] : [];
    const fixed = old && Math.abs(begin - low) < EDGE ? high : old && Math.abs(begin - high) < EDGE ? low : null;
    const inside = old && fixed === null && begin < low && begin > high;
    drag(event, {
      moved: (_dx, dy) => {
        const ends = inside ? [low + dy, high + dy] : [fixed ?? begin, begin + dy];
        this.on.brush(axis.key, brushBetween(axis, ...ends.map(placeAt)));
      },
      ended: (dx, dy) => {
        if (Math.hypot(dx, dy) < 3) this.on.brush(axis.key, null);
        this.on.brushed();
      },
    });
  }

  #hover(event) {
    if (event.buttons) return;
    this.on.active(this.#nearest(event));
  }

  #click(event) {
    const found = event.target.closest(".parallel-axis") ? null : this.#nearest(event);
    if (found !== null) this.on.pinned(found);
  }

  /** The kept run whose line is nearest to the pointer, null where none is near. */
  #nearest(event) {
    const x = event.clientX - this.root.getBoundingClientRect().left;
    const y = this.#yIn(event);
    const right = this.#xs.findIndex((at) => at >= x);
    const at = right > 0 ? right - 1 : right === 0 ? 0 : this.#xs.length - 1;
    const next = Math.min(at + 1, this.#xs.length - 1);
    const span = this.#xs[next] - this.#xs[at];
    const part = span ? Math.min(Math.max((x - this.#xs[at]) / span, 0), 1) : 0;
    let found = null;
    let least = NEAR;
    for (let place = 0; place < this.#ys.length; place += 1) {
      if (!this.#kept[place]) continue;
      const line = this.#ys[place][at] + (this.#ys[place][next] - this.#ys[place][at]) * part;
      const distance = Math.abs(line - y);
      if (distance < least) [least, found] = [distance, place];
    }
    return found;
  }

  #yIn(event) {
    return event.clientY - this.root.getBoundingClientRect().top;
  }
}

function yOf(place) {
  return place === null ? MISSING : BOTTOM - place * (BOTTOM - TOP);
}

function ticksOf(axis) {
  return axis.kind === "category" ? axis.categories.map((one) => [one, one]) : axis.ticks;
}

/** Those of [y, label] that can stand below one another: the ends first, then what has room between them. */
function apart(ticks) {
  const kept = [];
  const ends = ticks.length > 1 ? [ticks.at(-1), ticks[0]] : ticks;
  for (const tick of [...ends, ...ticks]) {
    if (kept.every(([y]) => Math.abs(y - tick[0]) >= LINE)) kept.push(tick);
  }
  return kept;
}

function placeAt(y) {
  return (BOTTOM - y) / (BOTTOM - TOP);
}

function titleOf(text) {
  const title = svg("title", {});
  title.textContent = text;
  return title;
}
