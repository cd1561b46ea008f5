// <x-figure for="name">: a new figure for the chart of that name, which stays where it is and keeps its zoom. It comes with
// an answer to a poll or to a slider.

class Figure extends HTMLElement {
  connectedCallback() {
    const chart = document.querySelector(`x-chart[name="${CSS.escape(this.getAttribute("for"))}"]`);
    const script = this.querySelector('script[type="application/json"]');
    if (chart && script) chart.figure = JSON.parse(script.textContent);
    this.remove();
  }
}

customElements.define("x-figure", Figure);
