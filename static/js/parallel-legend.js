// What the colours of parallel coordinates mean: a scale with its ends, or a swatch for each category.

import { COLOURS, SHADES, shown } from "./parallel-axes.js";
import { make } from "./parallel-svg.js";

export function legendOf(axis) {
  const title = make("span", "small soft");
  title.textContent = axis.title;
  if (axis.kind === "category") return [title, ...axis.categories.slice(0, COLOURS).map(swatch)];
  const bar = make("span", "parallel-bar");
  bar.setAttribute("aria-hidden", "true");
  bar.append(...Array.from({ length: SHADES }, (_, shade) => make("i", `parallel-shade-${shade}`)));
  const ends = [axis.low, axis.high].map((value) => {
    const end = make("span", "small number");
    end.textContent = shown(value, "");
    return end;
  });
  return [title, ends[0], bar, ends[1]];
}

function swatch(category, place) {
  const entry = make("span", "parallel-swatch small");
  entry.append(make("i", `run-colour-${(place % COLOURS) + 1}`), category);
  return entry;
}
