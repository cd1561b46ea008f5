// Lines of a log as elements: number (a permalink), time, text with its colours.

import { collapse, render } from "./ansi.js";

const FOUND_MAX = 300;
const local = clock(document.documentElement.dataset.timeZone || undefined);
const universal = clock("UTC");

/** The lines of a slice's text. */
export function splitLines(text) {
  if (text === "") return [];
  return (text.endsWith("\n") ? text.slice(0, -1) : text).split("\n");
}

/** Lines numbered from `first`, with `times` in milliseconds since the epoch, as rows. */
export function rowsOf(lines, times, first) {
  const fragment = document.createDocumentFragment();
  lines.forEach((text, i) => fragment.append(row(first + i, text, times?.[i])));
  return fragment;
}

/** A line that a search found, as a link to it. */
export function foundRow({ line, text }) {
  const link = document.createElement("a");
  link.href = `#L${line}`;
  link.className = "log-found";
  const number = document.createElement("span");
  number.textContent = line.toLocaleString();
  const body = document.createElement("code");
  render(collapse(text).slice(0, FOUND_MAX), body);
  link.append(number, body);
  return link;
}

function row(n, text, time) {
  const item = document.createElement("div");
  item.className = "log-line";
  item.dataset.n = String(n);
  const number = document.createElement("a");
  number.className = "log-number";
  number.href = `#L${n}`;
  number.tabIndex = -1; // thousands of stops on the way through the page otherwise
  number.textContent = String(n);
  const body = document.createElement("span");
  body.className = "log-text";
  render(collapse(text), body);
  item.append(number, ...timesOf(time), body);
  return item;
}

function timesOf(time) {
  if (time === undefined) return [];
  const at = new Date(time);
  return [["local", local], ["utc", universal]].map(([zone, format]) => {
    const element = document.createElement("time");
    element.className = `log-time-${zone}`;
    element.dateTime = at.toISOString();
    element.title = at.toISOString();
    element.textContent = format.format(at);
    return element;
  });
}

function clock(timeZone) {
  const options = { hour: "2-digit", minute: "2-digit", second: "2-digit", fractionalSecondDigits: 3, hourCycle: "h23" };
  try {
    return new Intl.DateTimeFormat("en-GB", { ...options, timeZone });
  } catch {
    return new Intl.DateTimeFormat("en-GB", options);
  }
}
