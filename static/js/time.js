// <x-time mode="relative|absolute"><time datetime="…"></time></x-time>: the instant in the reader's zone and language.

import { language } from "./texts.js";

const STEPS = [
  ["second", 1],
  ["minute", 60],
  ["hour", 3600],
  ["day", 86400],
  ["week", 604800],
  ["month", 2629800],
  ["year", 31557600],
];
const zone = document.documentElement.dataset.timeZone || undefined;
const relative = new Intl.RelativeTimeFormat(language, { numeric: "auto", style: "long" });
const absolute = formatter(zone);
const universal = formatter("UTC");
const shown = new Set();

class Time extends HTMLElement {
  connectedCallback() {
    shown.add(this);
    this.update();
  }

  disconnectedCallback() {
    shown.delete(this);
  }

  update() {
    const element = this.querySelector("time");
    const at = new Date(element?.dateTime ?? "");
    if (Number.isNaN(at.getTime())) return;
    const exact = absolute.format(at);
    const inRelative = this.getAttribute("mode") !== "absolute";
    element.textContent = inRelative ? relativeText(at) : exact;
    element.title = `${inRelative ? exact : relativeText(at)}\n${universal.format(at)}`;
  }
}

function formatter(timeZone) {
  const options = {
    year: "numeric",
    month: language === "ja" ? "long" : "short",
    day: "numeric",
    weekday: "short",
    hour: "2-digit",
    minute: "2-digit",
    second: "2-digit",
    hourCycle: "h23",
    timeZoneName: "short",
  };
  try {
    return new Intl.DateTimeFormat(language, { ...options, timeZone });
  } catch {
    return new Intl.DateTimeFormat(language, options);
  }
}

function relativeText(at) {
  const seconds = (at.getTime() - Date.now()) / 1000;
  let [unit, size] = STEPS[0];
  for (const step of STEPS) if (Math.abs(seconds) >= step[1]) [unit, size] = step;
  return relative.format(Math.trunc(seconds / size), unit);
}

customElements.define("x-time", Time);
setInterval(() => shown.forEach((element) => element.update()), 5000);
