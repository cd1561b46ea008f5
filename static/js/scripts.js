// What the form of a script's job adds to jobs.js.

import "./code-editor.js";
import "./source-drop.js";

// What is asked while a form is filled in needs no text of the files: their paths and `script.edited` say enough.
document.addEventListener("htmx:configRequest", (event) => {
  const { elt, parameters } = event.detail;
  if (!elt.closest("[data-without-files]")) return;
  for (const name of [...parameters.keys()]) {
    if (name.startsWith("file.") || name === "files") parameters.delete(name);
  }
});
