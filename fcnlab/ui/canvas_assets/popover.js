// @ts-check
import { button, h } from "./dom.js";

const TOAST_MS = 6000;

/** Small panels above the workspace: one at a time, closed by Escape or a press elsewhere. */
export class Popovers {
  /** @param {HTMLElement} root @param {AbortSignal} signal */
  constructor(root, signal) {
    this.root = root;
    /** @type {{panel: HTMLElement, anchor: Element, onClose: () => void} | null} */
    this.open = null;
    const elsewhere = (/** @type {Event} */ event) => {
      if (!this.open) return;
      const path = event.composedPath();
      if (!path.includes(this.open.panel) && !path.includes(this.open.anchor)) this.close();
    };
    document.addEventListener("pointerdown", elsewhere, { signal, capture: true });
  }

  /**
   * Show `panel` at `anchor`; a second call for the same anchor closes it.
   * @param {Element} anchor
   * @param {HTMLElement} panel
   * @param {{label: string, onClose?: () => void}} options
   */
  toggle(anchor, panel, { label, onClose = () => {} }) {
    const again = this.open?.anchor === anchor;
    this.close();
    if (again) return;
    panel.classList.add("popover");
    panel.setAttribute("role", "dialog");
    panel.setAttribute("aria-label", label);
    panel.addEventListener("keydown", (event) => {
      if (event.key !== "Escape") return;
      event.stopPropagation();
      this.close();
    });
    this.root.append(panel);
    this.open = { panel, anchor, onClose };
    const base = this.root.getBoundingClientRect();
    const at = anchor.getBoundingClientRect();
    const left = Math.min(at.left - base.left, base.width - panel.offsetWidth - 8);
    const below = at.bottom - base.top + 6;
    const top = below + panel.offsetHeight > base.height - 8 ? at.top - base.top - panel.offsetHeight - 6 : below;
    panel.style.left = `${Math.max(8, left)}px`;
    panel.style.top = `${Math.max(8, top)}px`;
    anchor.setAttribute("aria-expanded", "true");
    /** @type {HTMLElement | null} */ (panel.querySelector("[autofocus]"))?.focus();
  }

  /** @returns {boolean} whether one was open */
  close() {
    const { open } = this;
    this.open = null;
    open?.anchor.removeAttribute("aria-expanded");
    open?.panel.remove();
    open?.onClose();
    return open !== null;
  }

  /**
   * Ask before something large.
   * @param {Element} anchor
   * @param {string} question
   * @param {string} yes
   * @param {() => void} act
   */
  confirm(anchor, question, yes, act) {
    const go = () => {
      this.close();
      act();
    };
    const panel = h(
      "div",
      { class: "ask" },
      h("p", {}, question),
      h(
        "div",
        { class: "row end" },
        h("button", { type: "button", class: "button text", click: () => this.close() }, "Cancel"),
        h("button", { type: "button", class: "button text danger", autofocus: true, click: go }, yes),
      ),
    );
    this.toggle(anchor, panel, { label: question });
  }
}

/** One line that comes and goes: refusals and notices. */
export class Toasts {
  constructor() {
    this.element = h("div", { class: "toasts floating", role: "status", "aria-live": "polite" });
    /** @type {Set<ReturnType<typeof setTimeout>>} */
    this.timers = new Set();
  }

  /** @param {string} text @param {"good" | "bad"} [tone] */
  show(text, tone = "good") {
    const line = h("div", { class: `toast ${tone}` }, h("span", {}, text));
    const remove = () => line.remove();
    line.append(button("Close", "close", remove, { class: "small" }));
    this.element.append(line);
    while (this.element.childElementCount > 3) this.element.firstElementChild?.remove();
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      remove();
    }, TOAST_MS);
    this.timers.add(timer);
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
  }
}
