// @ts-check
import { h, say } from "./dom.js";

/** @typedef {import("./words.js").Tone} Tone */

/** The line at the bottom: where the clicks are, what the learner does, what is under the cursor. */
export class StatusBar {
  constructor() {
    this.saving = h("span", { class: "part saving", role: "status" });
    this.learner = h("span", { class: "part learner", role: "status" });
    this.bar = h("span", { class: "bar" });
    this.progress = h("span", { class: "progress" }, this.bar);
    this.updated = h("span", { class: "part updated" });
    this.readout = h("span", { class: "part readout" });
    this.chip = h("span", { class: "colour" });
    this.classWord = h("span");
    this.under = h("span", { class: "part under" }, this.chip, this.classWord);
    this.zoom = h("span", { class: "part zoom" });
    this.mode = h("span", { class: "part objects", title: "Only regions that hold a click of their class are kept" });
    this.element = h(
      "div",
      { class: "statusbar" },
      this.saving,
      this.learner,
      this.progress,
      this.updated,
      this.mode,
      h("span", { class: "gap" }),
      this.under,
      this.readout,
      this.zoom,
    );
  }

  /** @param {{text: string, tone: Tone}} state */
  setSaving({ text, tone }) {
    say(this.saving, text);
    this.saving.dataset.tone = tone;
  }

  /** @param {{text: string, tone: Tone, progress: number | null}} state @param {string} updated */
  setLearner({ text, tone, progress }, updated) {
    say(this.learner, text);
    this.learner.dataset.tone = tone;
    this.learner.title = text;
    this.progress.hidden = progress === null;
    this.bar.style.width = `${Math.round(100 * (progress ?? 0))}%`;
    say(this.updated, updated);
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
