// Links with `data-dialog` open their page's fragment in the one modal dialog; without scripts they are pages.

import { text } from "./texts.js";

const dialog = document.getElementById("dialog");

document.addEventListener("click", async (event) => {
  const link = event.target.closest("a[data-dialog]");
  if (!link || !dialog || event.ctrlKey || event.metaKey || event.shiftKey || event.button !== 0) return;
  event.preventDefault();
  const answer = await fetch(link.href, { headers: { "HX-Request": "true" } }).catch(() => null);
  if (!answer?.ok) {
    location.href = link.href;
    return;
  }
  dialog.innerHTML = await answer.text();
  dialog.setAttribute("aria-label", dialog.querySelector("h2")?.textContent ?? text("confirm"));
  window.htmx?.process(dialog);
  dialog.showModal();
});

dialog?.addEventListener("click", (event) => {
  const outside = event.target === dialog;
  const cancelled = event.target.closest("[data-close]");
  if (!outside && !cancelled) return;
  event.preventDefault();
  dialog.close();
});

// A typed confirmation enables the button that it guards.
document.addEventListener("input", (event) => {
  const wanted = event.target.dataset?.confirms;
  if (wanted === undefined) return;
  const button = event.target.form.querySelector("[data-guarded]");
  button.disabled = event.target.value.normalize("NFKC").trim() !== wanted;
});
