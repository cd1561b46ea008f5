// <x-copy>: a button (`[data-copy]`) that copies the text of `[data-copied]`, or of its own `value` attribute.

import { announce, text } from "./texts.js";

class Copy extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("[data-copy]");
      if (button) this.copy(button);
    });
  }

  async copy(button) {
    const source = this.getAttribute("value") ?? this.querySelector("[data-copied]")?.textContent ?? "";
    const done = await write(source);
    const message = text(done ? "copied" : "copy_failed");
    button.dataset.state = done ? "done" : "failed";
    button.title = message;
    button.querySelector(".copy-word")?.replaceChildren(message);
    announce(message);
    setTimeout(() => {
      delete button.dataset.state;
      button.title = text("copy");
      button.querySelector(".copy-word")?.replaceChildren(text("copy"));
    }, 1800);
  }
}

async function write(value) {
  try {
    await navigator.clipboard.writeText(value);
    return true;
  } catch {
    return writeBySelection(value);
  }
}

// Without https only localhost has the clipboard API.
function writeBySelection(value) {
  const area = document.createElement("textarea");
  area.value = value;
  area.className = "visually-hidden";
  document.body.append(area);
  area.select();
  const done = document.execCommand("copy");
  area.remove();
  return done;
}

customElements.define("x-copy", Copy);
