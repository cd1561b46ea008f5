// Sizes and durations in the reader's language.

import { language } from "./texts.js";

/** Bytes as people say them, with as many digits as in the server's texts. */
export function sizeText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(1024))) : 0;
  const value = bytes / 1024 ** step;
  return `${value.toLocaleString(language, { maximumSignificantDigits: value >= 100 ? 4 : 3 })} ${units[step]}`;
}

/** Seconds in the unit that suits them, at least one of it. */
export function timeText(seconds) {
  const [unit, value] = seconds < 90 ? ["second", seconds] : seconds < 5400 ? ["minute", seconds / 60] : ["hour", seconds / 3600];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(
    Math.max(1, value),
  );
}
