// @ts-check
import { button, h } from "./dom.js";

const TOAST_MS = 6000;
/** What can be answered stays longer. */
const ANSWERED_MS = 20_000;

/** @typedef {{text: string, act: () => void, class?: string}} Answer */

/**
 * Small panels above the workspace: one at a time, closed by Escape, by a press elsewhere, and as soon as what they are
 * about is not what it was when they opened.
 */
export class Popovers {
  /**
   * @param {HTMLElement} root
   * @param {AbortSignal} signal
   * @param {{subject: () => unknown, home: () => {focus: (options?: FocusOptions) => void}}} parts subject: what all panels are about, the image shown;
   *   home: where the focus goes when a panel closes that no button with the focus opened
   */
  constructor(root, signal, { subject, home }) {
    this.root = root;
    this.subject = subject;
    this.home = home;
    /** @type {{panel: HTMLElement, anchor: Element, opener: Element | null, about: () => unknown, then: string} | null} */
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
   * @param {{label: string, about?: () => unknown}} options about: what the panel speaks of besides the image, such as a
   *   number of points
   */
  toggle(anchor, panel, { label, about = () => "" }) {
    const again = this.open?.anchor === anchor;
    const opener = this.#focused() === anchor ? anchor : null;
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
    this.open = { panel, anchor, opener, about, then: this.#now(about) };
    const base = this.root.getBoundingClientRect();
    const at = anchor.getBoundingClientRect();
    const left = Math.min(at.left - base.left, base.width - panel.offsetWidth - 8);
    const below = at.bottom - base.top + 6;
    const top = below + panel.offsetHeight > base.height - 8 ? at.top - base.top - panel.offsetHeight - 6 : below;
    panel.style.left = `${Math.max(8, left)}px`;
    panel.style.top = `${Math.max(8, top)}px`;
    anchor.setAttribute("aria-expanded", "true");
    /** @type {HTMLElement | null} */ (panel.querySelector("[autofocus]") ?? panel.querySelector("input, button"))?.focus();
  }

  /** @returns {boolean} whether one was open */
  close() {
    const { open } = this;
    if (!open) return false;
    const hadFocus = open.panel.contains(this.#focused());
    this.open = null;
    open.anchor.removeAttribute("aria-expanded");
    open.panel.remove();
    const back = open.opener instanceof HTMLButtonElement && !open.opener.disabled ? open.opener : this.home();
    if (hadFocus) back.focus({ preventScroll: true });
    return true;
  }

  /** Close what asks about something that is gone or has changed. */
  check() {
    if (this.open && this.#now(this.open.about) !== this.open.then) this.close();
  }

  /**
   * Ask before something large; the answer that changes nothing has the focus.
   * @param {Element} anchor
   * @param {string} question
   * @param {readonly Answer[]} answers besides Cancel
   * @param {() => unknown} about what the question says: another value closes it
   */
  ask(anchor, question, answers, about) {
    const cancel = h("button", { type: "button", class: "button text", autofocus: true, click: () => this.close() }, "Cancel");
    const tools = answers.map(({ text, act, class: look = "" }) => {
      const go = () => {
        this.check(); // closes it when its question is out of date
        if (this.open?.panel !== panel) return;
        this.close();
        act();
      };
      return h("button", { type: "button", class: `button text ${look}`.trim(), click: go }, text);
    });
    const body = answers.length > 1 ? h("div", { class: "choices" }, ...tools, cancel) : h("div", { class: "row end" }, cancel, ...tools);
    const panel = h("div", { class: "ask" }, h("p", {}, question), body);
    this.toggle(anchor, panel, { label: question, about });
  }

  /** @param {() => unknown} about */
  #now(about) {
    return JSON.stringify([this.subject(), about()]);
  }

  #focused() {
    const inside = this.root.getRootNode();
    return inside instanceof ShadowRoot || inside instanceof Document ? inside.activeElement : null;
  }
}

/** One line that comes and goes: refusals and notices. */
export class Toasts {
  constructor() {
    this.element = h("div", { class: "toasts floating", role: "status", "aria-live": "polite" });
    /** @type {Set<ReturnType<typeof setTimeout>>} */
    this.timers = new Set();
  }

  /**
   * @param {string} text
   * @param {"good" | "bad"} [tone]
   * @param {readonly Element[]} [tools] what can be done about it; using it closes the line
   */
  show(text, tone = "good", tools = []) {
    for (const shown of this.element.children) if (shown.firstChild?.textContent === text) shown.remove(); // not twice
    const line = h("div", { class: `toast ${tone}` }, h("span", {}, text), ...tools);
    const remove = () => line.remove();
    for (const tool of tools) tool.addEventListener("click", remove);
    line.append(button("Close this notice", "close", remove, { class: "small" }));
    this.element.append(line);
    while (this.element.childElementCount > 3) this.element.firstElementChild?.remove();
    const timer = setTimeout(() => {
      this.timers.delete(timer);
      remove();
    }, tools.length ? ANSWERED_MS : TOAST_MS);
    this.timers.add(timer);
  }

  stop() {
    for (const timer of this.timers) clearTimeout(timer);
  }
}
