// @ts-check
import { h, say } from "./dom.js";

/** @typedef {import("./messages.js").Tone} Tone */

/** Work that ends sooner changes the dot only: words that flash past at every click say nothing. */
const FLASH_MS = 180;

/** The line at the bottom: where the clicks are, what the learner does, what is under the cursor. */
export class StatusBar {
  /** @param {{onLeft: () => void}} actions onLeft: to the next image that is left */
  constructor({ onLeft }) {
    /** Words of work that may be over in a moment. @type {Map<HTMLElement, {write: () => void, timer: ReturnType<typeof setTimeout>}>} */
    this.waiting = new Map();
    this.saving = h("span", { class: "part saving", role: "status", "aria-live": "polite" });
    this.learner = h("span", { class: "part learner", role: "status", "aria-live": "polite" });
    this.bar = h("span", { class: "bar" });
    this.progress = h("span", { class: "progress" }, this.bar);
    this.updated = h("span", { class: "part updated" });
    this.readout = h("span", { class: "part readout" });
    this.chip = h("span", { class: "colour" });
    this.classWord = h("span");
    this.under = h("span", { class: "part under" }, this.chip, this.classWord);
    this.zoom = h("span", { class: "part zoom" });
    this.mode = h("span", { class: "part objects", title: "Only regions that hold a click of their class are kept" });
    this.left = h("button", { type: "button", class: "part left", click: onLeft, hidden: true });
    this.element = h(
      "div",
      { class: "statusbar" },
      this.saving,
      this.learner,
      this.progress,
      this.updated,
      this.mode,
      this.left,
      h("span", { class: "gap" }),
      this.under,
      this.readout,
      this.zoom,
    );
  }

  /** @param {{text: string, tone: Tone}} state */
  setSaving({ text, tone }) {
    this.#put(this.saving, tone, () => say(this.saving, text));
  }

  /** @param {{text: string, tone: Tone, progress: number | null}} state @param {string} updated */
  setLearner({ text, tone, progress }, updated) {
    this.#put(this.learner, tone, () => {
      say(this.learner, text);
      this.learner.title = text;
      this.progress.hidden = progress === null;
      this.bar.style.width = `${Math.round(100 * (progress ?? 0))}%`;
    });
    say(this.updated, updated);
  }

  /** What the last click took, part by part. @param {string} words */
  setSpans(words) {
    this.updated.title = words;
  }

  stop() {
    for (const { timer } of this.waiting.values()) clearTimeout(timer);
  }

  /** The tone changes at once, the words of short work wait. @param {HTMLElement} part @param {Tone} tone @param {() => void} write */
  #put(part, tone, write) {
    part.dataset.tone = tone;
    const waiting = this.waiting.get(part);
    if (waiting && tone === "busy") {
      waiting.write = write;
      return;
    }
    clearTimeout(waiting?.timer);
    this.waiting.delete(part);
    if (tone !== "busy" || part.dataset.busy === "1") {
      part.dataset.busy = tone === "busy" ? "1" : "0";
      write();
      return;
    }
    const fresh = { write, timer: setTimeout(() => this.#late(part), FLASH_MS) };
    this.waiting.set(part, fresh);
  }

  /** @param {HTMLElement} part */
  #late(part) {
    const waiting = this.waiting.get(part);
    this.waiting.delete(part);
    part.dataset.busy = "1";
    waiting?.write();
  }

  /** How many images are left to do. @param {{words: string, leadsOn: boolean}} left leadsOn: another one than the image shown is */
  setLeft({ words, leadsOn }) {
    this.left.hidden = !words;
    say(this.left, words);
    this.left.disabled = !leadsOn;
    this.left.title = leadsOn ? "Go to the next of them" : "";
  }

  /** @param {boolean} objectMode */
  setObjectMode(objectMode) {
    say(this.mode, objectMode ? "Object mode" : "");
  }

  /** @param {{row: number, col: number} | null} pixel @param {{text: string, colour: string | null}} under */
  setCursor(pixel, under) {
    say(this.readout, pixel ? `row ${pixel.row}  col ${pixel.col}` : "");
    say(this.classWord, pixel ? under.text : "");
    this.chip.hidden = !pixel || !under.colour;
    this.chip.style.background = under.colour ?? "";
  }

  /** @param {number | null} scale */
  setZoom(scale) {
    if (scale === null) {
      say(this.zoom, "");
      return;
    }
    const percent = scale * 100;
    say(this.zoom, `${percent < 10 ? percent.toFixed(1) : Math.round(percent)} %`);
  }
}
