// The Enter that ends a conversion in an input method must not send the form. keyCode 229 is how Safari says it.

/** Whether the key belongs to a composition and means nothing to the page. */
export function composing(event) {
  return event.isComposing || event.keyCode === 229;
}

document.addEventListener(
  "keydown",
  (event) => {
    if (event.key === "Enter" && composing(event) && event.target.tagName === "INPUT") event.preventDefault();
  },
  true,
);
