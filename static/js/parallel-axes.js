// Axes of parallel coordinates: where a value lies on one, which value lies at a place, and what was brushed.
//
// An axis is {key, title, kind: "linear" | "log" | "category", low, high, categories, …}; a place is 0 at its lower end and
// 1 at its upper. A brush is {low, high} with null for an open end, or {picks: Set of categories}.

/** In how many shades numbers are coloured, and with how many colours categories and runs. */
export const SHADES = 10;
export const COLOURS = 8;

/** The place of a value from 0 to 1; null for a missing one. */
export function placeOf(axis, value) {
  if (value === null || value === undefined) return null;
  if (axis.kind === "category") return share(axis.categories.indexOf(value), 0, axis.categories.length - 1);
  if (axis.kind === "log") return share(Math.log(value), Math.log(axis.low), Math.log(axis.high));
  return share(value, axis.low, axis.high);
}

/** The number at a place of a number axis, to four significant digits. */
export function numberAt(axis, place) {
  const { low, high } = axis;
  const exact = axis.kind === "log" ? low * (high / low) ** place : low + (high - low) * place;
  return Number(exact.toPrecision(4));
}

/** What drawing from one place to another keeps; null where that is everything. */
export function brushBetween(axis, from, to) {
  const [low, high] = [Math.min(from, to), Math.max(from, to)];
  if (axis.kind === "category") {
    const picks = axis.categories.filter((category) => within(placeOf(axis, category), low, high));
    return picks.length && picks.length < axis.categories.length ? { picks: new Set(picks) } : null;
  }
  const brush = { low: low <= 0 ? null : numberAt(axis, low), high: high >= 1 ? null : numberAt(axis, high) };
  return brush.low === null && brush.high === null ? null : brush;
}

/** Whether a value passes. What is missing passes only where nothing was brushed. */
export function passes(brush, value) {
  if (!brush) return true;
  if (value === null || value === undefined) return false;
  if (brush.picks) return brush.picks.has(value);
  return (brush.low === null || value >= brush.low) && (brush.high === null || value <= brush.high);
}

/** The brush as the stretches of its axis that it covers: pairs of places. */
export function stretches(axis, brush) {
  if (brush.picks) {
    const half = 0.5 / Math.max(axis.categories.length - 1, 4);
    return [...brush.picks].map((pick) => [placeOf(axis, pick) - half, placeOf(axis, pick) + half]);
  }
  const low = brush.low === null ? 0 : placeOf(axis, Math.max(brush.low, axis.low));
  const high = brush.high === null ? 1 : placeOf(axis, Math.min(brush.high, axis.high));
  return [[Math.min(low, 1), Math.max(high, 0)]];
}

/** A value in words; a whole number with separators, any other to four significant digits. */
export function shown(value, none) {
  if (value === null || value === undefined) return none;
  if (typeof value !== "number") return value;
  const plain = Number.isInteger(value) ? value : Number(value.toPrecision(4));
  const magnitude = Math.abs(plain);
  if (magnitude && (magnitude < 1e-4 || magnitude >= 1e12)) return value.toExponential(3);
  return plain.toLocaleString("en", { maximumSignificantDigits: 15 });
}

/** The number that was typed, full-width digits and separators too; null for nothing or no number. */
export function typed(text) {
  const plain = text.normalize("NFKC").replaceAll(",", "").replaceAll("−", "-").trim();
  const value = plain === "" ? Number.NaN : Number(plain);
  return Number.isFinite(value) ? value : null;
}

function share(value, low, high) {
  return high > low ? (value - low) / (high - low) : 0.5;
}

function within(place, low, high) {
  return place >= low && place <= high;
}
