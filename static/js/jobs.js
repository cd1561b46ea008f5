// What job and endpoint pages add to main.js.

import "./enter.js";
import "./form-errors.js";
import "./log-view.js";
import "./once.js";
import "./relevance.js";
import "./rows.js";

// The cause of a failure is in the last of its lines: a box that is new on the page begins there.
const begun = new WeakSet();

function toLastLine() {
  for (const box of document.querySelectorAll(".failure-lines")) {
    if (!begun.has(box)) box.scrollTop = box.scrollHeight;
    begun.add(box);
  }
}

toLastLine();
document.addEventListener("htmx:afterSettle", toLastLine);
