// The form of a transform job: a button of the preview fills the input filter in.

import "./form-errors.js";
import "./once.js";

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("button[data-filter]");
  const field = document.getElementById("input_filter");
  if (!button || !field) return;
  field.value = button.dataset.filter;
  field.dispatchEvent(new Event("input", { bubbles: true }));
});
