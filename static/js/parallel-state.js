// What somebody has chosen in parallel coordinates, as it stands in the address:
// `axis=<key>` for each axis in order, `brush=<low>~<high>~<key>`, `pick=<category>~<key>`, `colour=<key>`.

const NAMES = ["axis", "brush", "pick", "colour"];

/** {keys: shown axes in order, brushes: Map from key to brush, colour} from the data that the server gave. */
export function readState({ axes, state, colour }) {
  const known = new Map(axes.map((axis) => [axis.key, axis]));
  const asked = [...new Set(state.axis)].filter((key) => known.has(key));
  const brushes = new Map();
  for (const text of state.brush) {
    const [, low, high, key] = /^([^~]*)~([^~]*)~(.*)$/s.exec(text) ?? [];
    const axis = known.get(key);
    if (!axis || axis.kind === "category") continue;
    brushes.set(key, { low: bound(low), high: bound(high) });
  }
  for (const text of state.pick) {
    const axis = axes.find((one) => one.kind === "category" && text.endsWith(`~${one.key}`));
    const category = axis && text.slice(0, -axis.key.length - 1);
    if (!axis?.categories.includes(category)) continue;
    const picks = brushes.get(axis.key)?.picks ?? new Set();
    brushes.set(axis.key, { picks: picks.add(category) });
  }
  return { keys: asked.length ? asked : shownKeys(axes), brushes, colour };
}

/** The pairs of parameter and value that say it; what is as it was at first is not said. */
export function statePairs({ axes, colour_default: first }, { keys, brushes, colour }) {
  const pairs = [];
  if (keys.join("\n") !== shownKeys(axes).join("\n")) pairs.push(...keys.map((key) => ["axis", key]));
  for (const [key, brush] of brushes) {
    if (brush.picks) pairs.push(...[...brush.picks].map((pick) => ["pick", `${pick}~${key}`]));
    else pairs.push(["brush", `${brush.low ?? ""}~${brush.high ?? ""}~${key}`]);
  }
  if (colour !== first) pairs.push(["colour", colour]);
  return pairs;
}

/** Puts the pairs into the page's address and, for its form, into hidden fields of `holder`. */
export function keepState(pairs, holder) {
  const params = new URLSearchParams(location.search);
  for (const name of NAMES) params.delete(name);
  for (const [name, value] of pairs) params.append(name, value);
  history.replaceState(history.state, "", `${location.pathname}?${params}`);
  fillState(pairs, holder);
}

export function fillState(pairs, holder) {
  holder.replaceChildren(
    ...pairs.map(([name, value]) => Object.assign(document.createElement("input"), { type: "hidden", name, value })),
  );
}

function shownKeys(axes) {
  return axes.filter((axis) => axis.shown).map((axis) => axis.key);
}

function bound(text) {
  const value = Number(text);
  return text === "" || !Number.isFinite(value) ? null : value;
}
