// <x-theme>: the form of three buttons that changes the theme at once and keeps it on the server.

class Theme extends HTMLElement {
  connectedCallback() {
    this.addEventListener("submit", (event) => {
      event.preventDefault();
      const form = event.target;
      const body = new FormData(form, event.submitter);
      apply(body.get("theme"));
      this.mark(event.submitter);
      fetch(form.action, { method: "POST", body });
    });
  }

  mark(chosen) {
    for (const button of this.querySelectorAll("button")) {
      button.setAttribute("aria-pressed", String(button === chosen));
    }
  }
}

function apply(theme) {
  if (theme === "system") delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  document.dispatchEvent(new CustomEvent("x-theme"));
}

matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => {
  document.dispatchEvent(new CustomEvent("x-theme"));
});

customElements.define("x-theme", Theme);
