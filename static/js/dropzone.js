// <x-dropzone>: a form whose file may be dropped anywhere on it and is sent with progress. The server answers with
// `HX-Redirect`, or with the form again and its errors. With `data-uploads`, the address of resumable uploads, a large
// file goes there in pieces first, and the form has its id in place of the file. With `data-names`, which says whether a name
// may be used, and a label field, both are checked before anything is sent.

import { sizeText } from "./amounts.js";
import { DatasetChecks } from "./dataset-checks.js";
import { isReadable } from "./kept-uploads.js";
import { FileChanged, Resumable, UploadCancelled, UploadElsewhere, WaitingLeft } from "./resumable.js";
import { announce, text } from "./texts.js";
import { Unfinished } from "./unfinished.js";
import { UploadProgress } from "./upload-progress.js";

const IN_PIECES_BYTES = 16 * 1024 * 1024;
const ENDS = new Map([
  [UploadCancelled, "upload_cancelled"],
  [WaitingLeft, "upload_left"],
  [UploadElsewhere, "upload_gone"],
]);

class Dropzone extends HTMLElement {
  #request = null;
  #pieces = null;
  #isBusy = false;
  #progress = new UploadProgress(this);
  #checks = null;
  #unfinished = null;

  connectedCallback() {
    this.#checks = new DatasetChecks(this, this.dataset.names ?? "");
    if (this.dataset.uploads) this.#unfinished = new Unfinished(this, this.dataset.uploads);
    const name = this.querySelector("input[name=name]");
    // What a fresh form proposes; in one that was refused the name is the reader's own.
    if (name && !this.querySelector("[aria-invalid=true], .form-errors")) name.dataset.suggested = name.value;
    this.addEventListener("dragover", (event) => this.#drag(event));
    this.addEventListener("dragleave", (event) => {
      if (!this.contains(event.relatedTarget)) this.removeAttribute("dragging");
    });
    this.addEventListener("drop", (event) => this.#drop(event));
    this.addEventListener("change", (event) => {
      if (event.target.type === "file") this.#chosen(event.target.files[0]);
      if (event.target.name === "sample") this.#suggested(event.target.value);
    });
    this.addEventListener("submit", (event) => this.#send(event));
    this.addEventListener("click", (event) => {
      if (event.target.closest("[data-cancel]")) this.#cancel();
      if (event.target.closest("[data-pause]")) this.#pauseOrGoOn();
    });
    this.#unfinished?.show();
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
    const input = this.querySelector("input[type=file]");
    if (!input || this.#isBusy) return;
    const { files, items } = event.dataTransfer;
    if (files.length > 1 || items[0]?.webkitGetAsEntry?.()?.isDirectory) {
      this.#failed(text("upload_one_file"));
      return;
    }
    input.files = files;
    this.#chosen(files[0]);
  }

  #chosen(file) {
    document.getElementById("messages")?.replaceChildren(); // what was said of the file before
    this.#show(file);
    this.#unfinished?.putBack();
    this.#unfinished?.show();
    this.#checks.name();
    this.#checks.label();
  }

  #suggested(stem) {
    this.#suggest(stem);
    this.#checks.name();
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

  async #send(event) {
    const form = event.target;
    const input = form.querySelector("input[type=file]");
    const file = input?.files[0];
    if (!file) return;
    event.preventDefault();
    if (this.#isBusy) return;
    const limit = Number(input.dataset.limitBytes);
    if (limit && file.size > limit) {
      this.#failed(text("upload_too_large", { size: sizeText(file.size), limit: sizeText(limit) }));
      return;
    }
    this.#isBusy = true;
    try {
      if (!(await this.#mayGo(input, file))) {
        this.#isBusy = false;
        return;
      }
    } catch (error) {
      console.error(error);
      this.#failed(text("upload_not_begun"));
      return;
    }
    document.getElementById("messages")?.replaceChildren(); // what was said of an earlier try
    const values = new FormData(form, event.submitter);
    this.#busy(true);
    if (this.dataset.uploads && file.size > IN_PIECES_BYTES) this.#sendInPieces(form, file, values);
    else this.#post(form.action, values, file);
  }

  // Whether nothing is against sending `file`; what is, is told. The input is open until then: another file may be in it.
  async #mayGo(input, file) {
    if (!(await this.#checks.pass())) return false;
    const isThere = await isReadable(file);
    if (input.files[0] !== file) return false;
    if (!isThere) this.#lostFile();
    return isThere;
  }

  async #sendInPieces(form, file, values) {
    const pieces = new Resumable({
      url: this.dataset.uploads,
      token: values.get("csrfmiddlewaretoken"),
      file,
      report: (at) => this.#progress.inPieces(at),
      note: this.#unfinished.values(),
    });
    this.#pieces = pieces;
    try {
      await pieces.send((upload) => {
        const now = new FormData(form); // what was typed while it was sent counts
        now.set("upload", upload);
        now.delete("file");
        this.#progress.reading();
        return this.#post(form.action, now, file, () => pieces.forget());
      });
    } catch (error) {
      if (error instanceof FileChanged) this.#lostFile();
      else this.#failed(text(ENDS.get(error.constructor) ?? (error.message || "upload_stopped")));
    } finally {
      this.#pieces = null;
    }
  }

  // `taken` is called when the server has made something of it. Ends with the answer, whichever it is.
  #post(url, values, file, taken = () => {}) {
    const request = new XMLHttpRequest();
    this.#request = request;
    request.open("POST", url);
    request.setRequestHeader("HX-Request", "true");
    request.upload.addEventListener("progress", (sent) => this.#progress.atOnce(sent));
    request.addEventListener("load", () => {
      if (request.getResponseHeader("HX-Redirect")) taken();
      this.#answered(request);
    });
    const lost = text(values.has("upload") ? "upload_lost_reading" : "upload_lost");
    request.addEventListener("error", async () => {
      if (values.has("upload") || (await isReadable(file))) this.#failed(lost);
      else this.#lostFile();
    });
    request.addEventListener("abort", () => this.#failed(text("upload_cancelled")));
    const ended = new Promise((done) => request.addEventListener("loadend", done));
    request.send(values);
    return ended;
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
    this.#unfinished?.show();
    (this.querySelector("[aria-invalid=true]") ?? this.querySelector(".form-errors"))?.focus();
  }

  // A file that cannot be read is no longer chosen: a browser tells of a choice only where it is another one.
  #lostFile() {
    this.querySelector("input[type=file]").value = "";
    this.#show(null);
    this.#failed(text("upload_changed"));
  }

  #failed(message, html = "") {
    this.#busy(false);
    const place = document.getElementById("messages");
    if (!place) return;
    if (html) place.innerHTML = html;
    else place.replaceChildren(this.#messageOf(message));
    announce(message || place.textContent);
    place.scrollIntoView({ block: "center" });
  }

  #messageOf(message) {
    const box = this.querySelector("template[data-message]").content.firstElementChild.cloneNode(true);
    box.querySelector(".message-text").textContent = message;
    return box;
  }

  #busy(on) {
    this.#isBusy = on;
    this.#progress.show(on);
    for (const part of this.querySelectorAll("button[type=submit], input[type=file]")) part.disabled = on;
    this.querySelector(".unfinished")?.toggleAttribute("hidden", on);
    if (!on) this.#unfinished?.show();
  }
}

function suggestedName(stem) {
  return stem.normalize("NFKC").replace(/[^a-zA-Z0-9]+/g, "-").replace(/^-+|-+$/g, "").slice(0, 63).replace(/-+$/, "");
}

customElements.define("x-dropzone", Dropzone);
