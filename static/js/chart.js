// <x-chart>: draws a Plotly figure from the JSON inside it or from `src`, in the page's colours. Plotly is loaded when the
// first chart comes near the screen. Every chart has a table and downloads.
//
// A figure is {"data": [...], "layout": {...}}; colours in it may be `var(--chart-1)`. An answer of `src` may add
// "final": true, after which it is not asked again.

import { localeOf } from "./chart-locale.js";
import { chartRows, csvOf, tableOf } from "./chart-table.js";
import { coloured, themedLayout } from "./chart-theme.js";
import { text } from "./texts.js";

const ICONS = {
  table: "M3 5h18v14H3zM3 10h18M3 14.5h18M9 5v14",
  download: "M12 3v12m0 0 4-4m-4 4-4-4M4 17v3h16v-3",
};
const NARROW_PX = 480;
const LEGEND_MAX = 5;
let loading = null;
let locale = "";

class Chart extends HTMLElement {
  #figure = null;
  #timer = 0;
  #observer = null;
  #retheme = () => this.#draw();

  connectedCallback() {
    this.figureElement = this.querySelector("figure");
    if (!this.plot) this.#build();
    this.#observer = new IntersectionObserver((entries) => {
      if (!entries.some((entry) => entry.isIntersecting)) return;
      this.#observer.disconnect();
      this.#start();
    }, { rootMargin: "300px" });
    this.#observer.observe(this);
    document.addEventListener("x-theme", this.#retheme);
  }

  disconnectedCallback() {
    this.#observer?.disconnect();
    clearTimeout(this.#timer);
    document.removeEventListener("x-theme", this.#retheme);
    if (this.plot && window.Plotly) window.Plotly.purge(this.plot);
  }

  /** Takes a new figure, for instance from a live source, and draws it in place. */
  set figure(figure) {
    this.#figure = figure;
    this.#draw();
  }

  #build() {
    const head = document.createElement("div");
    head.className = "chart-head";
    const title = this.figureElement.querySelector("figcaption");
    if (title) head.append(title);
    head.append(this.#tools());
    this.plot = document.createElement("div");
    this.plot.className = "chart-plot";
    this.plot.style.height = `${this.getAttribute("height") || 320}px`;
    this.table = document.createElement("div");
    this.table.className = "chart-table table-scroll boxed";
    this.table.tabIndex = 0;
    this.table.hidden = true;
    this.figureElement.prepend(head);
    this.figureElement.append(this.#scrolled(this.plot), this.table);
  }

  // A figure of many panels keeps its width on a narrow window, where it is then scrolled.
  #scrolled(plot) {
    const width = this.getAttribute("min-width");
    if (!width) return plot;
    plot.style.minWidth = `${width}px`;
    const frame = document.createElement("div");
    frame.className = "chart-frame";
    frame.tabIndex = 0;
    frame.setAttribute("role", "region");
    frame.setAttribute("aria-label", this.querySelector("figcaption")?.textContent ?? "");
    frame.append(plot);
    return frame;
  }

  #tools() {
    const tools = document.createElement("div");
    tools.className = "chart-tools";
    const toggle = toolButton("table", text("chart_table"), "");
    toggle.setAttribute("aria-pressed", "false");
    toggle.addEventListener("click", () => this.#toggleTable(toggle));
    tools.append(toggle);
    for (const kind of ["csv", "png", "svg"]) {
      const button = toolButton("download", text("chart_download", { kind: kind.toUpperCase() }), kind.toUpperCase());
      button.addEventListener("click", () => this.#download(kind));
      tools.append(button);
    }
    return tools;
  }

  async #start() {
    const inline = this.querySelector('script[type="application/json"]');
    if (inline) {
      this.figure = JSON.parse(inline.textContent);
      return;
    }
    await this.#fetch();
  }

  async #fetch() {
    const every = Number(this.getAttribute("every")) * 1000;
    try {
      const answer = await fetch(this.getAttribute("src"), { headers: { Accept: "application/json" } });
      if (!answer.ok) throw new Error(String(answer.status));
      const figure = await answer.json();
      this.figure = figure;
      if (!every || figure.final) return;
    } catch {
      if (!this.#figure) this.plot.replaceChildren(failure());
    }
    if (every && this.isConnected) this.#timer = setTimeout(() => this.#fetch(), every);
  }

  async #draw() {
    if (!this.#figure) return;
    if (!this.table.hidden) this.table.replaceChildren(tableOf(chartRows(this.#figure)));
    const Plotly = await plotly().catch(() => null);
    if (!Plotly) {
      this.plot.replaceChildren(failure());
      return;
    }
    if (!this.isConnected) return;
    const { data, layout } = coloured(this.#figure, this);
    const height = layout.height || Number(this.getAttribute("height")) || 320;
    this.plot.style.height = `${height}px`;
    const themed = themedLayout(layout, this, height);
    if (crowded(data, this.plot)) themed.showlegend = false;
    await Plotly.react(this.plot, data, themed, {
      displayModeBar: false,
      responsive: true,
      doubleClick: "reset",
      locale,
    });
    this.dataset.drawn = "";
  }

  #toggleTable(button) {
    this.table.hidden = !this.table.hidden;
    button.setAttribute("aria-pressed", String(!this.table.hidden));
    if (!this.table.hidden && this.#figure) {
      this.table.setAttribute("role", "region");
      this.table.setAttribute("aria-label", this.querySelector("figcaption")?.textContent ?? "");
      this.table.replaceChildren(tableOf(chartRows(this.#figure)));
    }
  }

  async #download(kind) {
    if (!this.#figure) return;
    const filename = this.getAttribute("name") || "chart";
    if (kind === "csv") {
      save(new Blob(["\ufeff", csvOf(chartRows(this.#figure))], { type: "text/csv" }), `${filename}.csv`);
      return;
    }
    const Plotly = await plotly();
    const background = getComputedStyle(document.body).backgroundColor;
    const { clientWidth: width, clientHeight: height } = this.plot;
    const layout = { ...this.plot.layout, paper_bgcolor: background };
    const figure = { data: this.plot.data, layout, config: { locale } };
    const url = await Plotly.toImage(figure, { format: kind, width, height, scale: kind === "png" ? 2 : 1 });
    save(await dataBlob(url), `${filename}.${kind}`);
  }
}

// On a narrow window a long legend would leave no room for the chart; hovering and the table name its series.
function crowded(data, plot) {
  return plot.clientWidth < NARROW_PX && data.filter((trace) => trace.showlegend !== false).length > LEGEND_MAX;
}

function toolButton(icon, label, word) {
  const button = document.createElement("button");
  button.type = "button";
  button.className = word ? "button quiet small" : "button quiet small square";
  button.title = label;
  button.setAttribute("aria-label", label);
  const svg = document.createElementNS("http://www.w3.org/2000/svg", "svg");
  for (const [name, value] of Object.entries({
    viewBox: "0 0 24 24", width: 14, height: 14, fill: "none", stroke: "currentColor", "stroke-width": 2,
    "stroke-linecap": "round", "stroke-linejoin": "round", "aria-hidden": "true",
  })) svg.setAttribute(name, value);
  const path = document.createElementNS("http://www.w3.org/2000/svg", "path");
  path.setAttribute("d", ICONS[icon]);
  svg.append(path);
  svg.classList.add("icon");
  button.append(svg, word);
  return button;
}

function failure() {
  const line = document.createElement("p");
  line.className = "chart-failure";
  line.textContent = text("chart_failed");
  return line;
}

// Beside this module's own folder, so that it has the same version in its address.
function plotly() {
  loading ??= stylesheet()
    .then(() => loaded(document.createElement("script"), "src", "../plotly/plotly.min.js"))
    .then(() => {
      locale = localeOf(window.Plotly);
      return window.Plotly;
    })
    .catch((error) => {
      loading = null;
      throw error;
    });
  return loading;
}

// Plotly, and the map library inside it, look for elements of these ids before they make an inline <style>, which the
// page's policy refuses. Maps are not drawn here, so theirs may stay empty.
function stylesheet() {
  const maps = document.createElement("meta");
  maps.id = "9f215cf04c5486422605d13261cb87401f4e7763b6296af81e98efbc0130da53";
  const link = document.createElement("link");
  document.head.append(maps);
  link.id = "plotly.js-style-global";
  link.rel = "stylesheet";
  return loaded(link, "href", "../css/plotly.css");
}

function loaded(element, attribute, path) {
  return new Promise((resolve, reject) => {
    element.addEventListener("load", resolve);
    element.addEventListener("error", () => reject(new Error(path)));
    element[attribute] = new URL(path, import.meta.url).href;
    document.head.append(element);
  });
}

async function dataBlob(url) {
  const [head, body] = url.split(/,(.*)/s);
  if (!head.endsWith("base64")) return new Blob([decodeURIComponent(body)], { type: "image/svg+xml" });
  return new Blob([Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0))], { type: "image/png" });
}

function save(blob, filename) {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = filename;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

customElements.define("x-chart", Chart);
