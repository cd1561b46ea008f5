// A figure in the page's own colours: CSS tokens resolved to what Plotly understands, in light and in dark.

const PALETTE = [1, 2, 3, 4, 5, 6, 7, 8].map((n) => `--chart-${n}`);
const canvas = document.createElement("canvas").getContext("2d", { willReadFrequently: true });

/** The figure with every `var(--token)` replaced by the colour that it has on this page now. */
export function coloured(figure, element) {
  return replaced(figure, tokenReader(element));
}

/** The layout laid over the platform's own: quiet grid, the page's font, the palette. */
export function themedLayout(layout, element, height) {
  const colour = tokenReader(element);
  const style = getComputedStyle(document.body);
  const axis = {
    gridcolor: colour("--chart-grid"),
    linecolor: colour("--line-control"),
    zerolinecolor: colour("--chart-grid"),
    tickfont: { color: colour("--text-soft") },
    title: { font: { color: colour("--text-soft"), size: 12 }, standoff: 8 },
    automargin: true,
  };
  const base = {
    autosize: true,
    margin: { l: 44, r: 12, t: 12, b: 40 },
    paper_bgcolor: "rgba(0,0,0,0)",
    plot_bgcolor: "rgba(0,0,0,0)",
    font: { family: style.fontFamily, size: 12, color: colour("--text") },
    colorway: PALETTE.map(colour),
    hoverlabel: {
      bgcolor: colour("--raised"),
      bordercolor: colour("--line-control"),
      font: { family: style.fontFamily, size: 12, color: colour("--text") },
    },
    legend: { orientation: "h", x: 0, y: 1, yanchor: "bottom", font: { color: colour("--text-soft") } },
    modebar: { color: colour("--text-faint"), bgcolor: "rgba(0,0,0,0)" },
    uirevision: "keep",
  };
  const merged = { ...base, ...layout, height, font: { ...base.font, ...layout.font } };
  merged.margin = { ...base.margin, ...layout.margin };
  merged.legend = { ...base.legend, ...layout.legend };
  for (const name of axisNames(layout)) merged[name] = mergedAxis(axis, layout[name]);
  return merged;
}

function axisNames(layout) {
  const named = Object.keys(layout).filter((key) => /^[xy]axis\d*$/.test(key));
  return new Set(["xaxis", "yaxis", ...named]);
}

function mergedAxis(axis, given = {}) {
  const title = typeof given.title === "string" ? { text: given.title } : given.title;
  return { ...axis, ...given, title: { ...axis.title, ...title }, tickfont: { ...axis.tickfont, ...given.tickfont } };
}

function replaced(value, colour) {
  if (typeof value === "string") return value.startsWith("var(--") ? colour(value.slice(4, -1)) : value;
  if (Array.isArray(value)) return allNumbers(value) ? value : value.map((item) => replaced(item, colour));
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, replaced(item, colour)]));
}

// Long columns of numbers are not looked through; a step of a colour scale is a number and a colour.
function allNumbers(values) {
  return typeof values[0] === "number" && typeof values.at(-1) === "number";
}

// light-dark() and oklch() are resolved by the browser: the colour is painted once and read back.
function tokenReader(element) {
  const probe = document.createElement("span");
  probe.hidden = true;
  element.append(probe);
  const known = new Map();
  const read = (token) => {
    if (!known.has(token)) {
      element.append(probe);
      probe.style.color = `var(${token})`;
      known.set(token, rgb(getComputedStyle(probe).color));
      probe.remove();
    }
    return known.get(token);
  };
  probe.remove();
  return read;
}

function rgb(colour) {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = colour;
  canvas.fillRect(0, 0, 1, 1);
  const [red, green, blue, alpha] = canvas.getImageData(0, 0, 1, 1).data;
  return alpha === 255 ? `rgb(${red},${green},${blue})` : `rgba(${red},${green},${blue},${(alpha / 255).toFixed(3)})`;
}
