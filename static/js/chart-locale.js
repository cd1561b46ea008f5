// The locale of charts for the page's language, made of the browser's own calendar: the installed Plotly has English only.

import { language, text } from "./texts.js";

const DAY_MS = 86_400_000;
const SUNDAY = Date.UTC(2023, 0, 1);
const DAYS = Array.from({ length: 7 }, (_, n) => SUNDAY + n * DAY_MS);
const MONTHS = Array.from({ length: 12 }, (_, n) => Date.UTC(2023, n, 1));

/** Makes Plotly write dates as the page does. Returns the option `locale` of every chart and image. */
export function localeOf(Plotly) {
  if (language === "en") return "en-US";
  Plotly.register({ moduleType: "locale", name: language, dictionary: dictionary(), format: format() });
  return language;
}

// What Plotly says on a chart that has no toolbar of its own.
function dictionary() {
  return {
    "Double-click to zoom back out": text("chart_zoom_out"),
    "Double-click on legend to isolate one trace": text("chart_isolate"),
  };
}

function format() {
  const date = pattern({ year: "numeric", month: "short", day: "numeric" });
  return {
    days: names(DAYS, { weekday: "long" }),
    shortDays: names(DAYS, { weekday: "short" }),
    months: names(MONTHS, { month: "long" }),
    shortMonths: names(MONTHS, { month: "short" }),
    year: pattern({ year: "numeric" }),
    month: pattern({ year: "numeric", month: "short" }),
    dayMonth: pattern({ month: "short", day: "numeric" }),
    dayMonthYear: date,
    date,
  };
}

function names(instants, options) {
  return instants.map((instant) => formatter(options).format(instant));
}

// The order and the words of the language as d3 writes a format: %Y年%-m月%-d日.
function pattern(options) {
  const codes = {
    year: () => "%Y",
    month: (value) => (/^\d+$/.test(value) ? "%-m" : "%b"),
    day: () => "%-d",
  };
  const parts = formatter(options).formatToParts(MONTHS[10]);
  return parts.map(({ type, value }) => codes[type]?.(value) ?? value).join("");
}

function formatter(options) {
  return new Intl.DateTimeFormat(language, { ...options, timeZone: "UTC" });
}
