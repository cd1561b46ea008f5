// What this browser remembers of uploads it began: where they lie, and what was typed beside their files. Each person who
// signs in with it has their own: the server lists nobody else's, and says that they are not there.

const KEPT = "upload ";
const TUS = { "Tus-Resumable": "1.0.0" };

/** Where an upload of `file` to `url` is remembered; also the name of the lock of the tab that sends it. */
export function keyOf(url, file) {
  return `${beginOf(url)}${file.name} ${file.size} ${file.lastModified}`;
}

// What the keys of the reader's uploads to `url` begin with; the page says who the reader is.
function beginOf(url) {
  return `${KEPT}${document.querySelector("x-dropzone").dataset.reader} ${url} `;
}

/** What is remembered of an upload of `file` to `url`; null where none was begun. */
export function keptOf(url, file) {
  return recall(keyOf(url, file));
}

/** Keeps `value` with the upload of `file`, where one was begun. */
export function note(url, file, value) {
  const kept = keptOf(url, file);
  if (kept) remember(keyOf(url, file), { ...kept, note: value });
}

/**
 * The reader's unfinished uploads to `url` that no tab of this browser is sending: `[{address, name, size, sent, isOurs}]`,
 * where `isOurs` says that this browser remembers it. What is gone at the server is forgotten.
 */
export async function unfinished(url) {
  const kept = new Map(keysOf(url).map((key) => [recall(key)?.address, key])); // before the server is asked: none is younger
  const answer = await fetch(url, { headers: { Accept: "application/json" } }).catch(() => null);
  if (!answer?.ok) return [];
  const found = (await answer.json()).items.map((one) => ({
    address: `${url}${one.id}/`, name: one.filename || one.id, size: one.length_bytes, sent: one.offset_bytes,
  }));
  const there = new Set(found.map(({ address }) => address));
  for (const [address, key] of kept) if (!there.has(address)) remember(key, null);
  const held = new Set((await navigator.locks?.query())?.held.map((lock) => lock.name));
  return found
    .filter(({ address }) => !held.has(kept.get(address)))
    .map((one) => ({ ...one, isOurs: kept.has(one.address) }));
}

/** Removes the upload at `address` from the server; whether it is gone. `token` is the page's. */
export async function discard(address, token) {
  const headers = { ...TUS, "X-CSRFToken": token };
  const answer = await fetch(address, { method: "DELETE", headers }).catch(() => null);
  return Boolean(answer?.ok) || answer?.status === 404;
}

/** Whether the browser can still read the file that was chosen: it was not changed, moved or deleted since. */
export async function isReadable(file) {
  return file.slice(0, 1).arrayBuffer().then(() => true, () => false);
}

function keysOf(url) {
  try {
    return Object.keys(localStorage).filter((key) => key.startsWith(beginOf(url)));
  } catch {
    return [];
  }
}

// A browser may keep nothing (private windows, full storage): then an upload does not outlive its page, and no more.

/** What is kept at `key`; null where nothing is. */
export function recall(key) {
  try {
    return JSON.parse(localStorage.getItem(key));
  } catch {
    return null;
  }
}

/** Keeps `value` at `key`; null takes away what is there. */
export function remember(key, value) {
  try {
    if (value) localStorage.setItem(key, JSON.stringify(value));
    else localStorage.removeItem(key);
  } catch {
    // as above
  }
}
