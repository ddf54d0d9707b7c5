// @ts-check
import { Tool } from "./tool.js";

/** @typedef {import("../state/page.js").Place} Place */

/** Moves and enlarges the picture: by drags that no other tool takes, by the wheel and by two fingers. */
export class Navigation extends Tool {
  /** @param {Pick<import("../view/stage.js").Stage, "element" | "pan" | "zoom">} stage */
  constructor(stage) {
    super();
    this.stage = stage;
    /** @type {Place} */
    this.at = { sx: 0, sy: 0 };
  }

  /** @param {Place} at */
  onDown(at) {
    this.at = at;
    this.#grab(true);
    return true;
  }

  /** @param {Place} at */
  onMove(at) {
    this.stage.pan(at.sx - this.at.sx, at.sy - this.at.sy);
    this.at = at;
  }

  onUp() {
    this.#grab(false);
  }

  cancel() {
    this.#grab(false);
  }

  /** What lies under the place stays there. @param {number} factor @param {Place} at */
  zoom(factor, { sx, sy }) {
    this.stage.zoom(factor, sx, sy);
  }

  /** One of two fingers moved. @param {Place} before @param {Place} at @param {Place} other where the other one rests */
  pinch(before, at, other) {
    const ratio = Math.hypot(at.sx - other.sx, at.sy - other.sy) / Math.hypot(before.sx - other.sx, before.sy - other.sy);
    this.stage.pan((at.sx - before.sx) / 2, (at.sy - before.sy) / 2);
    if (Number.isFinite(ratio) && ratio > 0) this.zoom(ratio, { sx: (at.sx + other.sx) / 2, sy: (at.sy + other.sy) / 2 });
  }

  /** @param {boolean} isHeld */
  #grab(isHeld) {
    this.stage.element.classList.toggle("grabbing", isHeld);
  }
}
