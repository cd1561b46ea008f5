// A file sent in pieces by the tus protocol: it goes on after a lost connection, a pause, or a page that was left.
// Knows no page; <x-dropzone> shows what it reports.

import { isReadable, keyOf, recall, remember } from "./kept-uploads.js";

const PIECE_BYTES = 16 * 1024 * 1024;
const WAIT_FIRST_S = 1;
const WAIT_MAX_S = 15;
const RATE_WINDOW_MS = 5000;
const GOES_ON = new Set([0, 408, 409, 423, 429, 502, 503, 504]);

/** What kept the file from being sent: `message` is for people, empty where only the status is known. */
export class UploadRefused extends Error {
  constructor(status, message) {
    super(message);
    this.status = status;
  }
}

/** Somebody cancelled it. */
export class UploadCancelled extends Error {}

/** Somebody did not wait any longer for another tab that sends the same file. */
export class WaitingLeft extends Error {}

/** The browser reads no byte of the file: it was changed or removed, or its drive is away. What was sent is kept. */
export class FileChanged extends Error {}

/** Another tab was sending the same file, and when it was this one's turn the upload was gone. */
export class UploadElsewhere extends Error {}

export class Resumable {
  #url;
  #token;
  #file;
  #report;
  #note;
  #request = null;
  #waiting = null;
  #elsewhere = false;
  #wake = null;
  #paused = false;
  #cancelled = false;
  #times = [];
  #sent = 0;
  #address = "";

  /**
   * `report({state, sent, total, rate, left_s, wait_s})`: state is `sending`, `paused`, `waiting` (for a connection) or
   * `elsewhere` (for another tab that sends the same file) or `held` (by another connection). `note` is kept with the upload until it is finished.
   */
  constructor({ url, token, file, report, note = null }) {
    this.#url = url;
    this.#token = token;
    this.#file = file;
    this.#report = report;
    this.#note = note;
  }

  /**
   * Sends what is missing and gives the id of the upload to `finish`. One tab at a time is at a file, until that is over.
   * Throws UploadRefused, UploadCancelled, FileChanged, UploadElsewhere, WaitingLeft.
   */
  async send(finish) {
    const whole = async () => finish(await this.#send());
    if (!navigator.locks) return whole(); // an address without TLS: then the server says that another one is sending
    let taken = false;
    await navigator.locks.request(this.#key, { ifAvailable: true }, (lock) => {
      taken = lock !== null;
      return taken ? whole() : null;
    });
    return taken ? null : this.#afterTheOther(whole);
  }

  async #afterTheOther(whole) {
    this.#elsewhere = true;
    this.#waiting = new AbortController();
    this.#report({ state: "elsewhere", sent: 0, total: this.#file.size });
    const begun = () => {
      this.#waiting = null;
      return whole();
    };
    try {
      return await navigator.locks.request(this.#key, { signal: this.#waiting.signal }, begun);
    } catch (error) {
      throw error.name === "AbortError" ? new WaitingLeft() : error;
    }
  }

  async #send() {
    let offset = null;
    let wait = WAIT_FIRST_S;
    while (offset === null || offset < this.#file.size) {
      await this.#whilePaused();
      const answer = offset === null ? await this.#found() : await this.#piece(offset);
      if (answer.offset !== undefined) {
        offset = this.#sent = answer.offset;
        wait = WAIT_FIRST_S;
      } else if (this.#paused || this.#cancelled) {
        offset = null; // and the next turn waits, or ends it
      } else if (answer.status === 404 && this.#address) {
        this.forget();
        if (this.#elsewhere) throw new UploadElsewhere();
        offset = null;
      } else if (GOES_ON.has(answer.status)) {
        if (answer.status === 0 && !(await isReadable(this.#file))) throw new FileChanged();
        const isHeld = answer.status === 423; // by the connection before, or by another tab or client
        this.#elsewhere ||= isHeld && !navigator.locks;
        await this.#wait(wait, isHeld ? "held" : "waiting");
        wait = Math.min(2 * wait, WAIT_MAX_S);
        offset = null;
      } else {
        throw new UploadRefused(answer.status, answer.message);
      }
    }
    return this.#address.split("/").at(-2);
  }

  get paused() {
    return this.#paused;
  }

  pause() {
    this.#paused = true;
    this.#request?.abort();
  }

  goOn() {
    this.#paused = false;
    this.#times = [];
    this.#wake?.();
  }

  /** Ends it, and removes what has been sent. */
  async cancel() {
    this.#cancelled = true;
    this.#paused = false;
    this.#request?.abort();
    this.#wake?.();
    this.#waiting?.abort();
    const address = this.#address;
    if (!address) return; // also where another tab sends: what has come is that one's
    this.forget();
    // The piece that was cut off may still be held for a moment.
    for (let turn = 0; turn < 5; turn += 1) {
      if ((await this.#ask("DELETE", address, {})).status !== 423) break;
      await new Promise((done) => setTimeout(done, 500));
    }
  }

  /** The next time the same file is sent from its beginning. */
  forget() {
    this.#address = "";
    remember(this.#key, null);
  }

  get #key() {
    return keyOf(this.#url, this.#file);
  }

  async #whilePaused() {
    while (this.#paused) {
      this.#report({ state: "paused", sent: this.#sent, total: this.#file.size });
      await new Promise((done) => {
        this.#wake = done;
      });
    }
    if (this.#cancelled) throw new UploadCancelled();
  }

  async #wait(seconds, state) {
    this.#report({ state, sent: this.#sent, total: this.#file.size, wait_s: seconds });
    this.#times = [];
    const over = new AbortController();
    await new Promise((done) => {
      this.#wake = done;
      const timer = setTimeout(done, seconds * 1000);
      over.signal.addEventListener("abort", () => clearTimeout(timer));
      window.addEventListener("online", done, { signal: over.signal });
    });
    over.abort();
  }

  // Where an upload of this file goes on; a new one where there is none.
  async #found() {
    this.#address ||= recall(this.#key)?.address ?? "";
    if (!this.#address && this.#elsewhere) throw new UploadElsewhere();
    if (this.#address) {
      const known = await this.#ask("HEAD", this.#address, {});
      if (known.offset === undefined || known.length === this.#file.size) return known;
      this.forget();
    }
    const bytes = new TextEncoder().encode(this.#file.name.normalize("NFC"));
    const made = await this.#ask("POST", this.#url, {
      "Upload-Length": String(this.#file.size),
      "Upload-Metadata": `filename ${btoa(String.fromCharCode(...bytes))}`,
    });
    if (made.location) {
      this.#address = made.location;
      remember(this.#key, { address: made.location, name: this.#file.name, size: this.#file.size, note: this.#note });
    }
    return made;
  }

  #piece(offset) {
    const piece = this.#file.slice(offset, offset + PIECE_BYTES);
    const headers = { "Upload-Offset": String(offset), "Content-Type": "application/offset+octet-stream" };
    return this.#ask("PATCH", this.#address, headers, piece, (loaded) => this.#progress(offset + loaded));
  }

  #progress(sent) {
    const now = performance.now();
    this.#sent = sent;
    this.#times.push([now, sent]);
    while (this.#times.length > 2 && now - this.#times[0][0] > RATE_WINDOW_MS) this.#times.shift();
    const [since, before] = this.#times[0];
    const rate = now > since ? ((sent - before) * 1000) / (now - since) : 0;
    const left = rate > 0 ? (this.#file.size - sent) / rate : null;
    this.#report({ state: "sending", sent, total: this.#file.size, rate, left_s: left });
  }

  // Answers `{status, offset, length, location, message}`; status 0 is a connection that was lost.
  #ask(method, url, headers, body = null, progress = null) {
    const request = new XMLHttpRequest();
    if (method !== "DELETE") this.#request = request;
    return new Promise((done) => {
      request.open(method, url);
      request.setRequestHeader("Tus-Resumable", "1.0.0");
      request.setRequestHeader("X-CSRFToken", this.#token);
      for (const [name, value] of Object.entries(headers)) request.setRequestHeader(name, value);
      if (progress) request.upload.addEventListener("progress", (event) => progress(event.loaded));
      request.addEventListener("loadend", () => done(answerOf(request)));
      request.send(body);
    });
  }
}

function answerOf(request) {
  const number = (name) => {
    const text = request.getResponseHeader(name);
    return text === null ? undefined : Number(text);
  };
  if (request.status < 200 || request.status >= 300) {
    return { status: request.status, message: detailOf(request) };
  }
  return {
    status: request.status,
    offset: number("Upload-Offset"),
    length: number("Upload-Length"),
    location: request.getResponseHeader("Location"),
  };
}

function detailOf(request) {
  try {
    return JSON.parse(request.responseText).detail ?? "";
  } catch {
    return "";
  }
}
