// After a refused form the first field that needs another value has the focus, and its section is open. Where several do,
// what was refused is listed above, with a link to each, and has the focus itself.

/** Leads to what is refused in `root`. */
export function leadToErrors(root) {
  const summary = root.querySelector(".form-errors");
  const fields = [...root.querySelectorAll("[aria-invalid=true]")];
  for (const field of fields) field.closest("details")?.setAttribute("open", "");
  const messages = [...root.querySelectorAll(".error")].filter((one) => one.textContent.trim() && !summary?.contains(one));
  if (summary && messages.length) list(summary, messages, fields);
  if (summary && messages.length > 1) summary.focus();
  else fields[0]?.focus();
  if (!root.contains(document.activeElement) || document.activeElement === document.body) summary?.focus();
}

function list(summary, messages, fields) {
  const items = document.createElement("ul");
  for (const [place, message] of messages.entries()) {
    message.id ||= `error-${place}`;
    const field = fields.find((one) => one.getAttribute("aria-describedby")?.split(" ").includes(message.id));
    const link = Object.assign(document.createElement("a"), { href: `#${message.id}` });
    const said = message.querySelector("span")?.firstChild?.textContent.trim() || message.textContent.trim();
    link.textContent = [named(field), said].filter(Boolean).join(": ");
    link.addEventListener("click", (event) => {
      if (!field) return;
      event.preventDefault();
      field.focus({ preventScroll: true });
      field.scrollIntoView({ block: "center" });
    });
    const item = document.createElement("li");
    item.append(link);
    items.append(item);
  }
  summary.append(items);
}

/** What a field is called: by its label, or by what it says of itself. */
function named(field) {
  const label = field?.labels?.[0]?.cloneNode(true);
  for (const part of label?.querySelectorAll(".optional, input, select") ?? []) part.remove();
  return label?.textContent.trim() || field?.getAttribute("aria-label") || "";
}

leadToErrors(document);
