// <x-dropzone>: a form whose file may be dropped anywhere on it and is sent with progress. The server answers with
// `HX-Redirect`, or with the form again and its errors.

import { announce, language, text } from "./texts.js";

class Dropzone extends HTMLElement {
  #request = null;

  connectedCallback() {
    const name = this.querySelector("input[name=name]");
    // What a fresh form proposes; in one that was refused the name is the reader's own.
    if (name && !this.querySelector("[aria-invalid=true], .form-errors")) name.dataset.suggested = name.value;
    this.addEventListener("dragover", (event) => this.#drag(event));
    this.addEventListener("dragleave", (event) => {
      if (!this.contains(event.relatedTarget)) this.removeAttribute("dragging");
    });
    this.addEventListener("drop", (event) => this.#drop(event));
    this.addEventListener("change", (event) => {
      if (event.target.type === "file") this.#show(event.target.files[0]);
      if (event.target.name === "sample") this.#suggest(event.target.value);
    });
    this.addEventListener("submit", (event) => this.#send(event));
    this.addEventListener("click", (event) => {
      if (event.target.closest("[data-cancel]")) this.#request?.abort();
    });
  }

  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.setAttribute("dragging", "");
  }

  #drop(event) {
    if (!event.dataTransfer?.files.length) return;
    event.preventDefault();
    this.removeAttribute("dragging");
    this.querySelector("input[type=file]").files = event.dataTransfer.files;
    this.#show(event.dataTransfer.files[0]);
  }

  #show(file) {
    const line = this.querySelector(".dropzone-file");
    if (line) line.textContent = file ? `${file.name.normalize("NFC")} (${sizeText(file.size)})` : "";
    if (file) this.#suggest(file.name.replace(/(\.tar)?\.[^.]*$/, ""));
  }

  // A name that was typed stays; one that was proposed gives way to the next.
  #suggest(stem) {
    const name = this.querySelector("input[name=name]");
    if (!name || (name.value && name.dataset.suggested !== name.value)) return;
    name.value = name.dataset.suggested = suggestedName(stem);
  }

  #send(event) {
    const form = event.target;
    const file = form.querySelector("input[type=file]")?.files[0];
    if (!file) return;
    event.preventDefault();
    const limit = Number(form.querySelector("input[type=file]").dataset.limitBytes);
    if (limit && file.size > limit) {
      this.#failed(text("upload_too_large", { size: sizeText(file.size), limit: sizeText(limit) }));
      return;
    }
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open("POST", form.action);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (sent) => this.#progress(sent));
    request.addEventListener("load", () => this.#answered(request));
    request.addEventListener("error", () => this.#failed(text("upload_lost")));
    request.addEventListener("abort", () => this.#failed(text("upload_cancelled")));
    this.#busy(true);
    request.send(new FormData(form, event.submitter));
  }

  #progress(sent) {
    const bar = this.querySelector(".upload-progress progress");
    const line = this.querySelector(".upload-progress .upload-text");
    if (!bar || !sent.lengthComputable) return;
    const whole = sent.loaded >= sent.total;
    // What has been sent whole is being read: from here on the server finishes it.
    this.querySelector("[data-cancel]").hidden = whole;
    if (whole) bar.removeAttribute("value");
    else bar.value = sent.loaded / sent.total;
    line.textContent = whole
      ? text("upload_reading")
      : text("upload_sent", { sent: sizeText(sent.loaded), total: sizeText(sent.total) });
  }

  #answered(request) {
    const target = request.getResponseHeader("HX-Redirect");
    if (target) {
      location.assign(target);
      return;
    }
    this.#busy(false);
    if (!request.responseText.includes("<form")) {
      this.#failed(request.responseText.startsWith("<") ? "" : request.responseText, request.responseText);
      return;
    }
    const page = new DOMParser().parseFromString(request.responseText, "text/html");
    const kept = this.querySelector("input[type=file]").files;
    this.replaceChildren(...(page.querySelector("x-dropzone") ?? page.body).childNodes);
    this.querySelector("input[type=file]").files = kept;
    this.#show(kept[0]);
    (this.querySelector("[aria-invalid=true]") ?? this.querySelector(".form-errors"))?.focus();
  }

  #failed(message, html = "") {
    this.#busy(false);
    const place = document.getElementById("messages");
    if (!place) return;
    if (html) place.innerHTML = html;
    else place.replaceChildren(messageOf(message));
    announce(message || place.textContent);
    place.scrollIntoView({ block: "center" });
  }

  #busy(on) {
    const progress = this.querySelector(".upload-progress");
    if (progress) progress.hidden = !on;
    for (const button of this.querySelectorAll("button[type=submit]")) button.disabled = on;
  }
}

function messageOf(message) {
  const box = document.createElement("div");
  box.className = "message warning";
  const words = document.createElement("div");
  words.className = "message-text";
  words.textContent = message;
  box.append(words);
  return box;
}

function suggestedName(stem) {
  return stem.normalize("NFKC").replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 63).replace(/-+$/, "");
}

function sizeText(bytes) {
  const units = ["B", "KiB", "MiB", "GiB", "TiB"];
  const step = bytes > 0 ? Math.min(units.length - 1, Math.floor(Math.log(bytes) / Math.log(1024))) : 0;
  const value = bytes / 1024 ** step;
  return `${value.toLocaleString(language, { maximumSignificantDigits: 3 })} ${units[step]}`;
}

customElements.define("x-dropzone", Dropzone);
