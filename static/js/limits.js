// <x-limits>: each limit is a number input, which is sent, and a range that moves with it. A moment after the last change
// the form fires `x-limits`. Without scripts the ranges stay hidden and the form has a button.
//
// A limit with data-scale="log" moves by equal shares: half of its range is the geometric mean of its ends.

const PAUSE_MS = 120;
const STEPS = 1000;

class Limits extends HTMLElement {
  #timer = 0;

  connectedCallback() {
    for (const limit of this.querySelectorAll(".limit")) this.#bind(limit);
  }

  #bind(limit) {
    const range = limit.querySelector("input[type=range]");
    const number = limit.querySelector("input[type=number]");
    const scale = scaleOf(limit);
    const show = () => {
      range.value = scale.place(Number(number.value));
      range.setAttribute("aria-valuetext", number.value);
    };
    range.max = scale.steps;
    range.hidden = false;
    show();
    range.addEventListener("input", () => {
      number.value = scale.value(Number(range.value));
      range.setAttribute("aria-valuetext", number.value);
      this.#soon();
    });
    number.addEventListener("input", () => {
      if (number.value === "" || !number.validity.valid) return;
      show();
      this.#soon();
    });
  }

  #soon() {
    const form = this.querySelector("form");
    form.dataset.touched = ""; // what a poll asks with from now on
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => form.dispatchEvent(new CustomEvent("x-limits", { bubbles: true })), PAUSE_MS);
  }
}

function scaleOf({ dataset }) {
  const [low, high, step] = [dataset.low, dataset.high, dataset.step].map(Number);
  return dataset.scale === "log" && low > 0 && high > low ? geometric(low, high) : linear(low, high, step);
}

function geometric(low, high) {
  const width = Math.log(high / low);
  return {
    steps: 100,
    place: (value) => Math.round((100 * Math.log(Math.max(value, low) / low)) / width),
    value: (place) => (place >= 100 ? high : Number((low * Math.exp((place * width) / 100)).toPrecision(2))),
  };
}

function linear(low, high, step) {
  const steps = Math.max(1, Math.min(STEPS, Math.round((high - low) / step)));
  return {
    steps,
    place: (value) => Math.round((steps * (value - low)) / (high - low)),
    value: (place) => Number((low + ((high - low) * place) / steps).toPrecision(10)),
  };
}

customElements.define("x-limits", Limits);
