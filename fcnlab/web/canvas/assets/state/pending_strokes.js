// @ts-check
/** @typedef {import("../types.js").LabelEvent} LabelEvent */
/** @typedef {import("../types.js").Stroke} Stroke */
/** @typedef {{seq: number, stroke: Stroke}} Painted */

/** Undo reaches further back on the server; here only what no overlay shows yet counts. */
const MOST_STEPS = 200;

/** The strokes of this tab on the image shown, as far as undo, redo and clear left them, until an overlay has them. */
export class FreshStrokes {
  /** @param {readonly string[]} undoable kinds of events that undo takes back */
  constructor(undoable) {
    this.kinds = new Set(undoable);
    /** @type {readonly Painted[]} */
    this.live = [];
    /** @type {(readonly Painted[])[]} */
    this.undoable = [];
    /** @type {(readonly Painted[])[]} */
    this.redoable = [];
  }

  /** Another image is shown. */
  forget() {
    this.live = [];
    this.undoable = [];
    this.redoable = [];
  }

  /**
   * Take an event of this image into account.
   * @param {LabelEvent} event
   * @param {boolean} [isStep] whether undo takes it back
   */
  note({ seq, kind, payload }, isStep = this.kinds.has(kind)) {
    if (isStep) {
      this.undoable = [...this.undoable, this.live].slice(-MOST_STEPS);
      this.redoable = [];
      if (kind === "clear") this.live = [];
      if (kind === "brush") this.live = [...this.live, { seq, stroke: /** @type {Stroke} */ (payload) }].slice(-MOST_STEPS);
    } else if (kind === "undo") {
      this.#step(this.undoable, this.redoable);
    } else if (kind === "redo") {
      this.#step(this.redoable, this.undoable);
    }
  }

  /** Strokes that an overlay covering event `covers` does not have. @param {number} covers */
  beyond(covers) {
    return this.live.filter((painted) => painted.seq > covers);
  }

  /** @param {(readonly Painted[])[]} from @param {(readonly Painted[])[]} to */
  #step(from, to) {
    const live = from.pop();
    if (!live) return;
    to.push(this.live);
    this.live = live;
  }
}
