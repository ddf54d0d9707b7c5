// @ts-check
import { Walk } from "../state/walk.js";
import { reverse } from "./actions.js";
import { Tool } from "./tool.js";

/**
 * A tool that rings one thing after the other and asks about it. Undo takes back the last answer and goes back to it;
 * what was done with other tools is undone as ever.
 * @template {{row: number, col: number}} Asked
 */
export class WalkTool extends Tool {
  /** @param {Pick<import("./tool.js").ToolParts, "store" | "labelling" | "toolbox" | "stage" | "popovers" | "toasts">} parts */
  constructor({ store, labelling, toolbox, stage, popovers, toasts }) {
    super();
    this.store = store;
    this.labelling = labelling;
    this.toolbox = toolbox;
    this.stage = stage;
    this.popovers = popovers;
    this.toasts = toasts;
    /** @type {Walk<Asked>} */
    this.walk = new Walk();
    /** The image that is asked about. @type {number | null} */
    this.imageId = null;
    /** Number of the newest event of ours: undo of a later one is not a step back. */
    this.seq = 0;
  }

  /** Begin anew, on the image shown. */
  restart() {
    this.walk = new Walk();
    this.imageId = this.store.state.labelled.image?.id ?? null;
    this.seq = this.labelling.newest.seq;
  }

  /** Show what the walk asks now, after a step. @param {"on" | "back"} _way */
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

  /** Go to what is asked, or show all of the picture. */
  approach() {
    const { current } = this.walk;
    if (current) this.stage.approach(current);
    else this.stage.fit();
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    switch (action.type) {
      case "undo":
        this.back();
        return true;
      case "redo":
        this.forward();
        return true;
      case "fit":
        if (!this.walk.current || !this.stage.isFitted) return false;
        this.approach();
        return true;
      case "escape":
        if (!this.popovers.close()) this.toolbox.choose("points");
        return true;
      case "swap":
        return true;
      default:
        return false;
    }
  }

  /** @param {"undo" | "redo"} kind */
  #reverse(kind) {
    reverse(this, kind);
    this.seq = this.labelling.newest.seq;
  }
}
