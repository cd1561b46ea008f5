// What job and endpoint pages add to main.js.

import "./form-errors.js";
import "./log-view.js";
import "./once.js";
import "./relevance.js";
import "./rows.js";

// The cause of a failure is in the last of its lines.
function toLastLine() {
  for (const box of document.querySelectorAll(".failure-lines")) box.scrollTop = box.scrollHeight;
}

toLastLine();
document.addEventListener("htmx:afterSettle", toLastLine);
