// The words that scripts show, translated by the server: <script type="application/json" id="texts">.

const holder = document.getElementById("texts");
const texts = holder ? JSON.parse(holder.textContent) : {};

/** The translated text, with `{name}` replaced from `values`. */
export function text(key, values = {}) {
  const found = texts[key] ?? key;
  return found.replace(/\{(\w+)\}/g, (whole, name) => values[name] ?? whole);
}

/** The language of the page, for `Intl`. */
export const language = document.documentElement.lang || "en";

/** Says something to screen readers, politely. */
export function announce(message) {
  const region = document.getElementById("announcer");
  if (region) region.textContent = message;
}
