// @ts-check
import { button, h } from "./dom.js";
import { COUNTING_HELP, HELP } from "../tools/keys.js";

/** The list of keys, above everything else. */
export class Help {
  /** @param {boolean} counts whether the project counts */
  constructor(counts) {
    const rows = (counts ? COUNTING_HELP : HELP).map(([keys, meaning]) => h("div", { class: "line" }, h("span", { class: "keys" }, ...caps(keys)), h("span", {}, meaning)));
    const head = h("div", { class: "row" }, h("h2", {}, "Mouse and keys"), h("span", { class: "gap" }), button("Close (Esc)", "close", () => this.close()));
    this.dialog = h("dialog", { class: "help", tabindex: -1, "aria-label": "Mouse and keys" }, head, h("div", { class: "lines" }, ...rows));
    this.dialog.addEventListener("click", (event) => {
      if (event.target === this.dialog) this.close();
    });
  }

  get isOpen() {
    return this.dialog.open;
  }

  toggle() {
    if (this.dialog.open) this.close();
    else {
      this.dialog.showModal();
      this.dialog.focus();
    }
  }

  close() {
    this.dialog.close();
  }
}

/** Single keys look like keys; the words between them do not. @param {string} text */
function caps(text) {
  return text.split(/( \/ | … |, | or |, then )/).map((part, at) => {
    const isKey = at % 2 === 0 && (part.length <= 2 || /^(Shift|Ctrl|Space|Enter|Tab|Delete|Esc|←)/.test(part));
    return isKey ? h("kbd", {}, part) : h("span", {}, part);
  });
}
