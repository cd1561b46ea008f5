// <x-dropzone>: a form whose file may be dropped anywhere on it and is sent with progress. The server answers with
// `HX-Redirect`, or with the form again and its errors. With `data-uploads`, the address of resumable uploads, a large
// file goes there in pieces first, and the form has its id in place of the file.

import { Resumable, UploadCancelled, unfinished, whereUnfinished } from "./resumable.js";
import { announce, language, text } from "./texts.js";

const IN_PIECES_BYTES = 16 * 1024 * 1024;
const SAID_EVERY_MS = 500;

class Dropzone extends HTMLElement {
  #request = null;
  #pieces = null;
  #saidAt = 0;

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
      if (event.target.closest("[data-cancel]")) this.#cancel();
      if (event.target.closest("[data-pause]")) this.#pauseOrGoOn();
    });
    this.#tellUnfinished();
  }

  // Of an upload that was left: the browser lets no script open the file again, so that its reader has to choose it.
  async #tellUnfinished() {
    for (const left of this.dataset.uploads ? unfinished(this.dataset.uploads) : []) {
      const sent = await whereUnfinished(left);
      const line = this.querySelector(".dropzone-file");
      if (sent === null || !line || line.textContent) continue;
      line.textContent = text("upload_unfinished", {
        name: left.name.normalize("NFC"), sent: sizeText(sent), total: sizeText(left.size),
      });
    }
  }

  #cancel() {
    this.#request?.abort();
    this.#pieces?.cancel();
  }

  #pauseOrGoOn() {
    if (this.#pieces?.paused) this.#pieces.goOn();
    else this.#pieces?.pause();
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
    const values = new FormData(form, event.submitter);
    this.#busy(true);
    if (this.dataset.uploads && file.size > IN_PIECES_BYTES) this.#sendInPieces(form, file, values);
    else this.#post(form.action, values);
  }

  async #sendInPieces(form, file, values) {
    const pieces = new Resumable({
      url: this.dataset.uploads,
      token: values.get("csrfmiddlewaretoken"),
      file,
      report: (at) => this.#reported(at),
    });
    this.#pieces = pieces;
    try {
      values.set("upload", await pieces.send());
      values.delete("file");
      this.#progress({ loaded: 1, total: 1, lengthComputable: true });
      this.#post(form.action, values, () => pieces.forget());
    } catch (error) {
      this.#failed(error instanceof UploadCancelled ? text("upload_cancelled") : error.message || text("upload_stopped"));
    } finally {
      this.#pieces = null;
    }
  }

  #reported(at) {
    const bar = this.querySelector(".upload-progress progress");
    const button = this.querySelector("[data-pause]");
    if (!bar) return;
    bar.value = at.sent / at.total;
    button.hidden = false;
    button.textContent = text(at.state === "paused" ? "upload_go_on" : "upload_pause");
    const now = performance.now();
    if (at.state === "sending" && now - this.#saidAt < SAID_EVERY_MS) return;
    this.#saidAt = now;
    const values = { sent: sizeText(at.sent), total: sizeText(at.total) };
    let words = text(at.state === "paused" ? "upload_paused" : "upload_sent", values);
    if (at.state === "waiting") words = text("upload_waiting", { ...values, wait: timeText(at.wait_s) });
    else if (at.left_s) {
      words = text("upload_rate", { ...values, rate: sizeText(at.rate), left: timeText(at.left_s) });
    }
    this.querySelector(".upload-progress .upload-text").textContent = words;
  }

  // `taken` is called when the server has made something of it.
  #post(url, values, taken = () => {}) {
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open("POST", url);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (sent) => this.#progress(sent));
    request.addEventListener("load", () => {
      if (request.getResponseHeader("HX-Redirect")) taken();
      this.#answered(request);
    });
    const lost = text(values.has("upload") ? "upload_lost_reading" : "upload_lost");
    request.addEventListener("error", () => this.#failed(lost));
    request.addEventListener("abort", () => this.#failed(text("upload_cancelled")));
    request.send(values);
  }

  #progress(sent) {
    const bar = this.querySelector(".upload-progress progress");
    const line = this.querySelector(".upload-progress .upload-text");
    if (!bar || !sent.lengthComputable) return;
    const whole = sent.loaded >= sent.total;
    // What has been sent whole is being read: from here on the server finishes it.
    this.querySelector("[data-cancel]").hidden = whole;
    this.querySelector("[data-pause]")?.toggleAttribute("hidden", whole);
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
    this.querySelector("[data-cancel]")?.toggleAttribute("hidden", !on);
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

function timeText(seconds) {
  const [unit, value] = seconds < 90 ? ["second", seconds] : seconds < 5400 ? ["minute", seconds / 60] : ["hour", seconds / 3600];
  return new Intl.NumberFormat(language, { style: "unit", unit, unitDisplay: "long", maximumFractionDigits: 0 }).format(
    Math.max(1, value),
  );
}

customElements.define("x-dropzone", Dropzone);
