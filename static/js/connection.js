// Polling that fails is said: "Updated 40 s ago, reconnecting…" until an answer comes again.

import { text } from "./texts.js";

let lastAnswer = Date.now();
let notice = null;

document.addEventListener("htmx:afterOnLoad", () => {
  lastAnswer = Date.now();
  notice?.remove();
  notice = null;
});
document.addEventListener("htmx:sendError", lost);
document.addEventListener("htmx:timeout", lost);

function lost() {
  const seconds = Math.round((Date.now() - lastAnswer) / 1000);
  if (!notice) {
    notice = document.createElement("p");
    notice.className = "connection";
    notice.setAttribute("role", "status");
    document.body.append(notice);
  }
  notice.textContent = text("reconnecting", { seconds });
}
