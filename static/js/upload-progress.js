// How far an upload is: the bar, its words, and the buttons that pause and cancel it.

import { sizeText, timeText } from "./amounts.js";
import { text } from "./texts.js";

const SAID_EVERY_MS = 500;
const WORDS = {
  sending: "upload_sent",
  paused: "upload_paused",
  waiting: "upload_waiting",
  held: "upload_held",
  elsewhere: "upload_elsewhere",
};

export class UploadProgress {
  #root;
  #saidAt = 0;

  constructor(root) {
    this.#root = root;
  }

  /** Before the first byte, or away with all of it. */
  show(on) {
    const box = this.#part("");
    if (!box) return;
    box.hidden = !on;
    this.#part("progress").value = 0;
    this.#part(".upload-text").textContent = text("upload_sending");
    this.#part("[data-cancel]").hidden = !on;
    this.#part("[data-pause]").hidden = true;
  }

  /** Of a file sent at once, as the browser counts it. */
  atOnce(sent) {
    const bar = this.#part("progress");
    if (!bar || !sent.lengthComputable) return;
    const isWhole = sent.loaded >= sent.total;
    if (isWhole) return this.reading();
    bar.value = sent.loaded / sent.total;
    this.#say("upload_sent", sent.loaded, sent.total);
  }

  /** What has been sent whole is being read: from here on the server finishes it. */
  reading() {
    const bar = this.#part("progress");
    if (!bar) return;
    this.#part("[data-cancel]").hidden = this.#part("[data-pause]").hidden = true;
    bar.removeAttribute("value");
    this.#part(".upload-text").textContent = text("upload_reading");
  }

  /** Of a file sent in pieces, as Resumable reports it. */
  inPieces(at) {
    const bar = this.#part("progress");
    const button = this.#part("[data-pause]");
    if (!bar) return;
    bar.value = at.sent / at.total;
    button.hidden = at.state === "elsewhere";
    button.textContent = text(at.state === "paused" ? "upload_go_on" : "upload_pause");
    const now = performance.now();
    if (at.state === "sending" && now - this.#saidAt < SAID_EVERY_MS) return;
    this.#saidAt = now;
    if (at.state === "sending" && at.left_s) {
      this.#say("upload_rate", at.sent, at.total, { rate: sizeText(at.rate), left: timeText(at.left_s) });
    } else {
      this.#say(WORDS[at.state], at.sent, at.total, { wait: timeText(at.wait_s ?? 0) });
    }
  }

  #say(words, sent, total, more = {}) {
    this.#part(".upload-text").textContent = text(words, { sent: sizeText(sent), total: sizeText(total), ...more });
  }

  #part(selector) {
    return this.#root.querySelector(`.upload-progress ${selector}`);
  }
}
