// <x-source>: files, folders and archives of a script that are dropped or chosen, sent with their paths at once.
//
// A browser sends the name of a file without its folders; the paths go beside the files. Without scripts the file input
// and its button do the same for files and archives.

import { post, replaceForm } from "./job-form.js";
import { text } from "./texts.js";

const LEFT_OUT = /(^|\/)(\.git|\.hg|\.svn|\.venv|venv|node_modules|__pycache__|\.ipynb_checkpoints|\.mypy_cache|\.pytest_cache|\.idea|\.vscode)\/|(^|\/)\.DS_Store$|\.pyc$/;
const FILES_MAX = 100; // as many as the server takes in one form

class SourceDrop extends HTMLElement {
  connectedCallback() {
    this.input = this.querySelector("input[type=file]");
    this.addEventListener("dragover", (event) => this.#drag(event));
    this.addEventListener("dragleave", (event) => {
      if (!this.contains(event.relatedTarget)) this.removeAttribute("dragging");
    });
    this.addEventListener("drop", (event) => this.#drop(event));
    this.input.addEventListener("change", () => this.send(listed(this.input.files)));
    const send = this.querySelector("[data-source=send]");
    send.hidden = true; // what is chosen is sent
    this.#folder();
  }

  #folder() {
    const button = this.querySelector("[data-source=folder]");
    if (!button) return;
    const folder = document.createElement("input");
    if (!("webkitdirectory" in folder)) return;
    folder.type = "file";
    folder.webkitdirectory = true;
    folder.addEventListener("change", () => this.send(listed(folder.files)));
    button.hidden = false;
    button.addEventListener("click", () => folder.click());
  }

  #drag(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.setAttribute("dragging", "");
  }

  async #drop(event) {
    if (!event.dataTransfer?.types.includes("Files")) return;
    event.preventDefault();
    this.removeAttribute("dragging");
    const entries = [...event.dataTransfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
    const files = entries.length
      ? (await Promise.all(entries.map((entry) => walked(entry, "")))).flat()
      : listed(event.dataTransfer.files);
    this.send(files);
  }

  /** Sends [path, File] pairs; the folder that all of them are in is the source's own. */
  async send(given) {
    const kept = given.filter(([path]) => !LEFT_OUT.test(path));
    if (kept.length === 0) return;
    if (kept.length > FILES_MAX) {
      this.say(text("source_too_many", { n: kept.length, max: FILES_MAX }));
      return;
    }
    this.say(text("source_sending", { n: kept.length }));
    const top = commonFolder(kept.map(([path]) => path));
    const form = this.closest("form");
    const answer = await post(form, { intent: "source" }, (data) => {
      data.delete("files");
      data.delete("script.uri");
      for (const [path, file] of kept) {
        data.append("files", file);
        data.append("paths", path.slice(top.length).normalize("NFC"));
      }
      return data;
    });
    if (answer) replaceForm(form, answer.page);
    else this.say(text("form_lost"));
  }

  say(words) {
    this.querySelector("[data-source=said]").textContent = words;
  }
}

function listed(files) {
  return [...files].map((file) => [file.webkitRelativePath || file.name, file]);
}

async function walked(entry, folder) {
  const path = folder + entry.name;
  if (entry.isFile) {
    return [[path, await new Promise((found, failed) => entry.file(found, failed))]];
  }
  if (LEFT_OUT.test(`${path}/`)) return [];
  const reader = entry.createReader();
  const inside = [];
  for (;;) {
    // A reader gives a hundred at a time, and none at the end.
    const some = await new Promise((found, failed) => reader.readEntries(found, failed));
    if (some.length === 0) break;
    inside.push(...some);
  }
  return (await Promise.all(inside.map((one) => walked(one, `${path}/`)))).flat();
}

function commonFolder(paths) {
  const top = paths[0].slice(0, paths[0].indexOf("/") + 1);
  return top && paths.every((path) => path.startsWith(top)) ? top : "";
}

customElements.define("x-source", SourceDrop);
