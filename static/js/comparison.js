// What the page of a comparison adds to main.js.

import "./parallel.js";

// Its address may be long: that of the page is not sent beside it again, or the request has more head than a server takes.
document.addEventListener("htmx:configRequest", (event) => {
  if (location.search.length > 4000) delete event.detail.headers["HX-Current-URL"];
});

// Runs outside of what was drawn on the axes are not in the table either.
document.addEventListener("x-brushed", (event) => {
  const { kept } = event.detail;
  for (const row of document.querySelectorAll("[data-run]")) {
    const hidden = !kept.has(row.dataset.run);
    if (row.hidden !== hidden) row.hidden = hidden;
  }
});
