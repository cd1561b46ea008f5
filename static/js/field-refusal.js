// A refusal at its field, as the server's forms show it. The form has a <template data-refusal> with the empty line.

/** Shows `message` at `field`; an empty one takes away what is there. */
export function refuse(field, message) {
  const box = field.closest(".field");
  const id = `${field.id}_error`;
  const described = (field.getAttribute("aria-describedby") ?? "").split(" ").filter((one) => one && one !== id);
  box.querySelector(".error")?.remove();
  if (message) {
    const line = field.form.querySelector("template[data-refusal]").content.firstElementChild.cloneNode(true);
    line.id = id;
    line.querySelector("span").textContent = message;
    box.append(line);
    described.unshift(id);
    field.setAttribute("aria-invalid", "true");
  } else {
    field.removeAttribute("aria-invalid");
  }
  if (described.length) field.setAttribute("aria-describedby", described.join(" "));
  else field.removeAttribute("aria-describedby");
}

export function isRefused(field) {
  return field.getAttribute("aria-invalid") === "true";
}
