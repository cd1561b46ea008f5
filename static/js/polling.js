// What refreshes by itself must not disturb who works in it: focus and scroll positions stay where they were, a selection is
// not taken away, and a page that nobody looks at asks nothing.
//
// What comes out of band into an element with `data-polled` waits for the next change while somebody types or selects in it.
// Boxes that keep their scroll position have an id.

let focused = null;
let kept = null;

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

document.addEventListener("htmx:oobBeforeSwap", (event) => {
  const { target } = event.detail;
  if (target.matches("[data-polled]") && (selectsIn(target) || typesIn(target))) {
    event.detail.shouldSwap = false;
    return;
  }
  const inside = target.contains(document.activeElement);
  kept = {
    focused: inside ? signature(document.activeElement) : null,
    boxes: [...target.querySelectorAll(".table-scroll[id]")].map((box) => [box.id, box.scrollLeft, box.scrollTop]),
  };
});

document.addEventListener("htmx:oobAfterSwap", (event) => {
  if (!kept) return;
  const { focused: was, boxes } = kept;
  kept = null;
  for (const [id, left, top] of boxes) document.getElementById(id)?.scrollTo({ left, top, behavior: "instant" });
  const { target } = event.detail;
  const found = was && [...target.querySelectorAll(was.tag)].find((element) => same(signature(element), was));
  if (found) found.focus({ preventScroll: true });
});

// A request of `every` has no event of the user behind it.
function isPoll(event) {
  return !event.detail.requestConfig?.triggeringEvent;
}

function selectsIn(target) {
  const selection = getSelection();
  return Boolean(selection && !selection.isCollapsed && target.contains(selection.anchorNode));
}

function typesIn(target) {
  const { activeElement } = document;
  return target.contains(activeElement) && activeElement.matches("input, select, textarea");
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
