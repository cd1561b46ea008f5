// What the page of a tuning job adds to main.js: figures that follow, parallel coordinates that keep what was chosen.

import "./figure.js";
import "./parallel.js";

let pressed = false;
for (const name of ["pointerdown", "pointerup", "pointercancel"]) {
  document.addEventListener(name, () => {
    pressed = name === "pointerdown";
  });
}

// What was chosen since the page came stands in its address; a poll asks with it.
document.addEventListener("htmx:configRequest", (event) => {
  if (event.detail.target?.id !== "tuning-state") return;
  event.detail.path = `${location.pathname}${location.search}`;
});

// Who draws on an axis keeps the picture until the next change.
document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target } = event.detail;
  if (target.id !== "tuning-parallel") return;
  if (pressed || target.contains(document.activeElement)) event.detail.shouldSwap = false;
});
