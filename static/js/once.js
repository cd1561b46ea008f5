// A form with data-once is sent once: a second press before the answer does nothing.

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("[data-once]") || event.defaultPrevented) return;
  if (form.classList.contains("is-sent")) {
    event.preventDefault();
    return;
  }
  form.classList.add("is-sent");
  form.setAttribute("aria-busy", "true");
});

// Back from the browser's cache the form can be sent again.
window.addEventListener("pageshow", (event) => {
  if (event.persisted) {
    document.querySelectorAll(".is-sent").forEach((form) => {
      form.classList.remove("is-sent");
      form.removeAttribute("aria-busy");
    });
  }
});
