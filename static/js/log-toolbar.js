// The toolbar of <x-log>: follow, wrap, times, find, first error, copy; and the key `f`.

import { composing } from "./ime.js";

const TIMES = ["off", "local", "utc"];
const ERRORS = "\\b(error|errors|exception|traceback|fatal|panic|segmentation fault)\\b|[a-z](Error|Exception)\\b";

/** Connects the buttons of `view`; returns what takes away the listener on the document. */
export function bindToolbar(view) {
  view.part("follow").addEventListener("click", () => view.setFollow(!view.following));
  view.part("missed").addEventListener("click", () => view.setFollow(true));
  view.setFollow(view.following);
  bindWrap(view);
  bindTimes(view);
  bindFind(view);
  bindLines(view);
  // Before <x-copy> itself, which copies what stands in `value`.
  view.part("copy").addEventListener("click", () => view.part("copy").setAttribute("value", view.copiedText()), true);
  const key = (event) => followKey(event, view);
  document.addEventListener("keydown", key);
  return () => document.removeEventListener("keydown", key);
}

function bindWrap(view) {
  const button = view.part("wrap");
  button.addEventListener("click", () => {
    const on = view.classList.toggle("has-wrap");
    button.setAttribute("aria-pressed", String(on));
    if (view.following) view.toEnd();
  });
}

function bindTimes(view) {
  const button = view.part("times");
  button.addEventListener("click", () => {
    const now = TIMES[(TIMES.indexOf(view.dataset.times ?? "off") + 1) % TIMES.length];
    view.dataset.times = now;
    button.setAttribute("aria-pressed", String(now !== "off"));
    button.querySelector("[data-word]").textContent = button.dataset[now];
  });
}

function bindFind(view) {
  const input = view.part("find");
  const regular = view.part("regular");
  const run = () => view.find(input.value, regular.getAttribute("aria-pressed") === "true");
  input.addEventListener("keydown", (event) => {
    if (composing(event)) return;
    if (event.key === "Escape") view.part("found").hidden = true;
    if (event.key !== "Enter") return;
    event.preventDefault();
    run();
  });
  input.addEventListener("search", () => input.value === "" && run());
  view.part("find-button").addEventListener("click", run);
  regular.addEventListener("click", () => {
    regular.setAttribute("aria-pressed", String(regular.getAttribute("aria-pressed") !== "true"));
    if (input.value) run();
  });
  view.part("error").addEventListener("click", async () => {
    const [first] = await view.find(ERRORS, true);
    if (first) location.hash = `#L${first.line}`;
  });
}

function bindLines(view) {
  view.lines.addEventListener("click", (event) => {
    const link = event.target.closest("a.log-number");
    if (!link) return;
    event.preventDefault();
    view.select(Number(link.parentElement.dataset.n), event.shiftKey);
  });
}

function followKey(event, view) {
  if (event.key !== "f" || event.ctrlKey || event.metaKey || event.altKey || composing(event)) return;
  if (event.target.closest("input, textarea, select, [contenteditable]")) return;
  if (view.classList.contains("is-ended")) return;
  event.preventDefault();
  view.setFollow(!view.following);
}
