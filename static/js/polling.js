// What refreshes by itself must not disturb who works in it: focus stays where it was, a selection is not taken away, and a
// page that nobody looks at asks nothing.

let focused = null;

document.addEventListener("htmx:beforeRequest", (event) => {
  if (isPoll(event) && document.hidden) event.preventDefault();
});

document.addEventListener("htmx:beforeSwap", (event) => {
  const { target } = event.detail;
  if (isPoll(event) && selectsIn(target)) {
    event.detail.shouldSwap = false;
    return;
  }
  const inside = target.contains(document.activeElement);
  focused = inside ? { ...signature(document.activeElement), place: target.id } : null;
});

document.addEventListener("htmx:afterSettle", () => {
  if (!focused) return;
  const place = document.getElementById(focused.place) ?? document;
  const found = [...place.querySelectorAll(focused.tag)].find((element) => same(signature(element), focused));
  focused = null;
  if (found && found !== document.activeElement) found.focus({ preventScroll: true });
});

// A request of `every` has no event of the user behind it.
function isPoll(event) {
  return !event.detail.requestConfig?.triggeringEvent;
}

function selectsIn(target) {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && target.contains(selection.anchorNode));
}

function signature(element) {
  return {
    tag: element.tagName.toLowerCase(),
    id: element.id,
    href: element.getAttribute("href"),
    name: element.getAttribute("name"),
    words: ["A", "BUTTON", "SUMMARY"].includes(element.tagName) ? element.textContent.trim() : "",
  };
}

function same(one, other) {
  return one.id === other.id && one.href === other.href && one.name === other.name && one.words === other.words;
}
