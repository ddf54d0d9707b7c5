// @ts-check
import { h } from "./dom.js";

/** Who moves on at once is told only where it ends. */
const REST_MS = 250;

/** What a screen reader says of things that are seen at a glance; nobody sees it. */
export class Speech {
  constructor() {
    this.element = h("div", { class: "spoken", role: "status", "aria-live": "polite", "aria-atomic": "true" });
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {string} text also when it was said last: a thing done twice is said twice */
  say(text) {
    clearTimeout(this.timer);
    this.element.textContent = text === this.element.textContent ? `${text}\u00a0` : text;
  }

  /** Say it unless something else is to be said meanwhile. @param {string} text */
  later(text) {
    clearTimeout(this.timer);
    this.timer = setTimeout(() => this.say(text), REST_MS);
  }

  stop() {
    clearTimeout(this.timer);
  }
}
