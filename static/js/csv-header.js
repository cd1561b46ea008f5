// What the columns of a chosen file may be called, from its first bytes. The server alone decides how a file is read: here
// every way of reading it counts that the form leaves open, and where none can be followed the answer is null.

const HEAD_BYTES = 256 * 1024;
const DELIMITERS = [",", "\t", ";"];
const DECODERS = { "": ["utf-8", "shift_jis", "euc-jp"], "utf-8": ["utf-8"], cp932: ["shift_jis"], euc_jp: ["euc-jp"] };
const NO_TEXT = ["PAR1", "\x1f\x8b", "PK\x03\x04", "%PDF", "\xff\xfe", "\xfe\xff", "\x89PNG", "\xff\xd8\xff", "\xd0\xcf\x11\xe0"];
const EDGES = /^[\s\x1c-\x1f\x85]+|[\s\x1c-\x1f\x85]+$/g;
const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?$/;
const POSITION = /^[+-]?[\p{Nd}_]+$/u;
const UNREADABLE = /[\ufffd\x00-\x08\x0e-\x1f\x7f]/;
const GENERATED = /^c\d+$/;
// Where the browser's tables of Japanese encodings and the server's differ, the same character.
const SAME = { "〜": "～", "‖": "∥", "−": "－", "¢": "￠", "£": "￡", "¬": "￢", "—": "―", "¦": "￤" };

/** Columns as `label` may name them; `shown` are the likeliest names, `most` how many there are at most. */
class Columns {
  constructor(rows, { header }) {
    this.rows = rows;
    this.header = header;
    this.most = Math.max(...rows.map((row) => row.cells.length));
    const best = rows.reduce((one, other) => (other.rank > one.rank ? other : one)).cells;
    this.unnamed = header === "no" || (header === "" && best.some((cell) => !cell || NUMBER.test(cell)));
    this.shown = this.unnamed ? best.map((_cell, place) => `c${place}`) : best;
  }

  /** Whether no way of reading the file gives it a column that `label`, a name or a position, may mean. */
  lacks(label) {
    const wanted = folded(label);
    if (POSITION.test(wanted)) return this.#isBeyond(wanted) && !this.#isNamed(wanted);
    if (this.header !== "yes" && GENERATED.test(wanted)) return this.#isBeyond(wanted.slice(1)) && !this.#isNamed(wanted);
    return this.header === "no" || !this.#isNamed(wanted);
  }

  #isNamed(wanted) {
    return this.header !== "no" && this.rows.some((row) => row.cells.some((cell) => folded(cell) === wanted));
  }

  #isBeyond(digits) {
    const place = Number(digits);
    return Number.isInteger(place) && (place >= this.most || place < -this.most);
  }
}

/** The Columns of `file`, null where its first bytes do not tell; `header`, `encoding` and `delimiter` as in the form. */
export async function columnsOf(file, { header = "", encoding = "", delimiter = "" } = {}) {
  const bytes = new Uint8Array(await file.slice(0, HEAD_BYTES).arrayBuffer());
  if (isNoText(bytes) || !(encoding in DECODERS)) return null;
  const rows = [];
  for (const [order, decoder] of DECODERS[encoding].entries()) {
    const text = new TextDecoder(decoder).decode(bytes).replace(/^[\r\n]+/, "");
    if (/^\s*[[{]/.test(text)) return null;
    for (const cut of delimiter ? [delimiter] : DELIMITERS) {
      const cells = firstRecord(text, cut, { whole: bytes.length === file.size });
      if (!cells?.some(Boolean)) return null;
      rows.push({ cells, rank: cells.length - 1000 * strangeness(cells) - order / 10 });
    }
  }
  const columns = new Columns(rows, { header });
  return columns.shown.some((name) => UNREADABLE.test(name)) ? null : columns;
}

// Bytes that are text may be damaged further on; these are none from the beginning.
function isNoText(bytes) {
  const begin = String.fromCharCode(...bytes.slice(0, 4));
  return bytes.includes(0) || NO_TEXT.some((magic) => begin.startsWith(magic));
}

// As Python's csv reads it: a quote opens a field only at its beginning. Null where the text ends before the record does.
function firstRecord(text, delimiter, { whole }) {
  const cells = [];
  let cell = "";
  let place = 0;
  const isEnd = () => text[place] === "\n" || text[place] === "\r";
  while (place < text.length && !isEnd()) {
    if (cell === "" && text[place] === '"' && (place === 0 || text[place - 1] === delimiter)) {
      for (place += 1; place < text.length; place += 1) {
        if (text[place] !== '"') cell += text[place];
        else if (text[place + 1] === '"') cell += text[(place += 1)];
        else break;
      }
      if (place >= text.length) return null;
    } else if (text[place] === delimiter) {
      cells.push(cell);
      cell = "";
    } else {
      cell += text[place];
    }
    place += 1;
  }
  if (place >= text.length && !whole) return null;
  return [...cells, cell].map((one) => one.replace(EDGES, ""));
}

// How much of it the decoder could not read, or reads as it is hardly ever written.
function strangeness(cells) {
  return cells.join("").match(/[\ufffd\uff61-\uff9f]/g)?.length ?? 0;
}

function folded(name) {
  return name.replace(EDGES, "").replace(/[〜‖−¢£¬—¦]/g, (one) => SAME[one]);
}
