// <x-slider>: a range and the number input that it belongs to move together. The number has the name and is sent; without
// scripts the range stays hidden.

class Slider extends HTMLElement {
  connectedCallback() {
    const range = this.querySelector("[data-slider=range]");
    const number = this.querySelector("[data-slider=number]");
    range.hidden = false;
    range.addEventListener("input", () => {
      number.value = range.value;
    });
    number.addEventListener("input", () => {
      if (number.validity.valid && number.value !== "") range.value = number.value;
    });
  }
}

customElements.define("x-slider", Slider);
