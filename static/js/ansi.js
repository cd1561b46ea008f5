// Turns one line of terminal output into DOM nodes: SGR colours and weight, nothing else; all other control is dropped.

const SEQUENCE =
  /\x1b\[([0-9;:]*)[0-?]*[ -/]*([@-~])|\x1b\][^\x07\x1b]*(?:\x07|\x1b\\)?|\x1b[ -/]+[0-~]|\x1b[0-Z\\^-~]|[\x00-\x08\x0b-\x1f\x7f]/g;
const STEPS = [0, 95, 135, 175, 215, 255];

/** A line as a carriage return would have left it: what was overwritten is not shown. */
export function collapse(line) {
  const text = line.replace(/\r+$/, "");
  return text.slice(text.lastIndexOf("\r") + 1);
}

/** Appends `line` to `parent`, as text only. Returns nothing; unknown sequences are skipped. */
export function render(line, parent) {
  const style = fresh();
  let from = 0;
  for (const match of line.matchAll(SEQUENCE)) {
    append(parent, line.slice(from, match.index), style);
    from = match.index + match[0].length;
    if (match[2] === "m") apply(match[1].split(/[;:]/).map(Number), style);
  }
  append(parent, line.slice(from), style);
}

function fresh() {
  return { fg: null, bg: null, bold: false, dim: false, underline: false, inverse: false };
}

function append(parent, text, style) {
  if (!text) return;
  if (Object.values(style).every((value) => value === null || value === false)) {
    parent.append(text);
    return;
  }
  const span = document.createElement("span");
  span.textContent = text;
  for (const name of ["bold", "dim", "underline", "inverse"]) if (style[name]) span.classList.add(`ansi-${name}`);
  paint(span, "fg", style.fg);
  paint(span, "bg", style.bg);
  parent.append(span);
}

// Colours of 256 and 16 million are drawn towards the page's own, to be readable in light and in dark.
function paint(span, ground, colour) {
  if (colour === null) return;
  if (typeof colour === "number") span.classList.add(`ansi-${ground}-${colour}`);
  else if (ground === "fg") span.style.color = `color-mix(in oklab, ${colour} 60%, var(--text))`;
  else span.style.backgroundColor = `color-mix(in oklab, ${colour} 30%, var(--sunken))`;
}

function apply(codes, style) {
  for (let i = 0; i < codes.length; i += 1) {
    const code = codes[i];
    if (code === 0) Object.assign(style, fresh());
    else if (code === 1) style.bold = true;
    else if (code === 2) style.dim = true;
    else if (code === 4) style.underline = true;
    else if (code === 7) style.inverse = true;
    else if (code === 27) style.inverse = false;
    else if (code === 22) style.bold = style.dim = false;
    else if (code === 24) style.underline = false;
    else if (code >= 30 && code <= 37) style.fg = code - 30;
    else if (code >= 90 && code <= 97) style.fg = code - 82;
    else if (code === 39) style.fg = null;
    else if (code >= 40 && code <= 47) style.bg = code - 40;
    else if (code >= 100 && code <= 107) style.bg = code - 92;
    else if (code === 49) style.bg = null;
    else if (code === 38 || code === 48) i += extended(codes, i, style, code === 38 ? "fg" : "bg");
  }
}

function extended(codes, i, style, ground) {
  if (codes[i + 1] === 5) {
    style[ground] = indexed(codes[i + 2]);
    return 2;
  }
  if (codes[i + 1] === 2) {
    style[ground] = `rgb(${codes.slice(i + 2, i + 5).map((part) => part & 255).join(" ")})`;
    return 4;
  }
  return 1;
}

function indexed(n) {
  if (!(n >= 0 && n <= 255)) return null;
  if (n < 16) return n;
  if (n >= 232) return `rgb(${Array(3).fill(8 + (n - 232) * 10).join(" ")})`;
  const c = n - 16;
  return `rgb(${[Math.floor(c / 36), Math.floor(c / 6) % 6, c % 6].map((k) => STEPS[k]).join(" ")})`;
}
