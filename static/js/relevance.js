// <x-relevance>: shows a field only while the fields that it depends on have one of the values named in data-relevant.
// A value may be a list, "a, name=b": then one of its items.

class Relevance extends HTMLElement {
  connectedCallback() {
    this.addEventListener("change", () => this.update());
    this.update();
  }

  update() {
    for (const field of this.querySelectorAll("[data-relevant]")) {
      const wanted = Object.entries(JSON.parse(field.dataset.relevant));
      const relevant = wanted.every(([name, values]) => this.present(name).some((item) => values.includes(item)));
      field.classList.toggle("is-irrelevant", !relevant);
      for (const control of field.querySelectorAll("input, select, textarea")) control.disabled = !relevant;
    }
  }

  present(name) {
    const control = this.querySelector(`[name="hp.${CSS.escape(name)}"]`);
    const value = control ? control.value || control.dataset.default || "" : "";
    return value.split(",").map((item) => item.split("=").pop().trim());
  }
}

customElements.define("x-relevance", Relevance);
