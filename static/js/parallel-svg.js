// Small parts of drawings: elements, texts that fit, dragging, a drawing as a file.

const measure = document.createElement("canvas").getContext("2d");

export function svg(name, attributes) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  return element;
}

/** An element of the page, with its class. */
export function make(name, kind) {
  const element = document.createElement(name);
  if (kind) element.className = kind;
  return element;
}

/** A text at a place, shortened in its middle to so many pixels. */
export function textAt(text, x, y, width, kind) {
  const element = svg("text", { x, y, class: kind });
  element.textContent = fitted(String(text), width);
  return element;
}

/** Follows the pointer from a pointerdown: moved(dx, dy) at each step, ended(dx, dy) at last. */
export function drag(event, { moved, ended }) {
  if (event.button !== 0) return;
  event.preventDefault();
  const { target, clientX, clientY, pointerId } = event;
  target.setPointerCapture(pointerId);
  const step = (next) => moved(next.clientX - clientX, next.clientY - clientY);
  const end = (last) => {
    target.removeEventListener("pointermove", step);
    ended(last.clientX - clientX, last.clientY - clientY);
  };
  target.addEventListener("pointermove", step);
  target.addEventListener("pointerup", end, { once: true });
  target.addEventListener("pointercancel", end, { once: true });
}

const COPIED = [
  "fill", "stroke", "stroke-opacity", "stroke-width", "stroke-dasharray", "font-family", "font-size", "font-weight", "text-anchor",
];

/** Sheets over one another as they look now, as the text of a file that needs no style sheet. */
export function svgText(sheets) {
  const { width, height } = sheets[0].getBoundingClientRect();
  const whole = svg("svg", { xmlns: "http://www.w3.org/2000/svg", width, height, viewBox: `0 0 ${width} ${height}` });
  whole.append(svg("rect", { width, height, fill: getComputedStyle(document.body).backgroundColor }));
  for (const sheet of sheets) {
    const copy = sheet.cloneNode(true);
    const originals = sheet.querySelectorAll("*");
    copy.querySelectorAll("*").forEach((element, place) => {
      const style = getComputedStyle(originals[place]);
      for (const name of COPIED) element.setAttribute(name, style.getPropertyValue(name));
    });
    whole.append(...copy.children);
  }
  return new XMLSerializer().serializeToString(whole);
}

export function textWidth(text) {
  measure.font = `500 12px ${getComputedStyle(document.body).fontFamily}`;
  return measure.measureText(text).width;
}

function fitted(text, width) {
  if (textWidth(text) <= width) return text;
  const letters = [...text];
  for (let kept = letters.length - 1; kept > 2; kept -= 1) {
    const [head, tail] = [letters.slice(0, Math.ceil(kept / 2)), letters.slice(letters.length - Math.floor(kept / 2))];
    const shorter = `${head.join("")}…${tail.join("")}`;
    if (textWidth(shorter) <= width) return shorter;
  }
  return `${letters[0]}…`;
}
