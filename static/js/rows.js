// <x-rows>: rows of a form that can be added from a <template data-rows="blank"> and removed.

class Rows extends HTMLElement {
  connectedCallback() {
    this.addEventListener("click", (event) => {
      const button = event.target.closest("button");
      if (button?.matches("[data-rows=add]")) this.add();
      if (button?.matches("[data-rows=remove]")) this.remove(button);
    });
  }

  add() {
    const blank = this.querySelector("template[data-rows=blank]").content.cloneNode(true);
    const list = this.querySelector("[data-rows=list]");
    list.append(blank);
    list.lastElementChild.querySelector("input, select")?.focus();
    this.changed();
  }

  remove(button) {
    button.closest("[data-row]").remove();
    this.changed();
  }

  changed() {
    this.dispatchEvent(new Event("change", { bubbles: true }));
  }
}

customElements.define("x-rows", Rows);
