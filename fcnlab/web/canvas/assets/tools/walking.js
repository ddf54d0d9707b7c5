// @ts-check
import { Walk } from "../state/walk.js";
import { reverse } from "./actions.js";
import { Tool } from "./tool.js";

/**
 * A tool that asks about one thing after the other. Undo takes back the last answer and goes back to it; what was done
 * with other tools is undone as ever.
 * @template Asked
 */
export class WalkTool extends Tool {
  /**
   * @param {object} parts
   * @param {import("../state/labelling.js").Labelling} parts.labelling
   * @param {Pick<import("../widgets/popover.js").Toasts, "show">} parts.toasts
   */
  constructor({ labelling, toasts }) {
    super();
    this.labelling = labelling;
    this.toasts = toasts;
    /** @type {Walk<Asked>} */
    this.walk = new Walk();
    /** Number of the newest event of ours: undo of a later one is not a step back. */
    this.seq = 0;
  }

  /** Begin anew, on the image shown. */
  restart() {
    this.walk = new Walk();
    this.seq = this.labelling.newest.seq;
  }

  /** Show what the walk asks now, after a step `way` of it. @param {"on" | "back"} _way */
  ask(_way) {}

  back() {
    const isOurs = this.labelling.newest.seq <= this.seq;
    const act = isOurs ? this.walk.back() : null;
    if (act === null || act === "answer") this.#reverse("undo");
    if (act) this.ask("back");
  }

  forward() {
    const act = this.walk.forward();
    if (act === null || act === "answer") this.#reverse("redo");
    if (act) this.ask("on");
  }

  /** @param {{row: number, col: number, class_id: number, source: string}} point */
  answerWith(point) {
    this.labelling.record("add", point);
    this.seq = this.labelling.newest.seq;
  }

  /** @param {"undo" | "redo"} kind */
  #reverse(kind) {
    reverse(this, kind);
    this.seq = this.labelling.newest.seq;
  }
}
