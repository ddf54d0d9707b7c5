// @ts-check
import { leastSure } from "../state/objects.js";
import { backgroundOf } from "../view/overlay.js";
import { WalkTool } from "./walking.js";

/** @typedef {import("../state/page.js").Place} Place */
/** @typedef {import("../types.js").Found} Found */
/**
 * @typedef {object} ReviewState
 * @property {Found | null} asked the object in the ring
 * @property {boolean} canGoBack
 * @property {number} nSkipped
 */

/**
 * A walk through the objects that nobody confirmed, the least sure one first; one key answers each. Clicks mean what
 * they mean without it.
 * @extends {WalkTool<Found>}
 */
export class ReviewTool extends WalkTool {
  /**
   * @param {Pick<import("./tool.js").ToolParts, "store" | "labelling" | "toolbox" | "stage" | "popovers" | "toasts">
   *   & {counting: import("./counting.js").CountingTool}} parts
   */
  constructor({ counting, ...parts }) {
    super(parts);
    this.counting = counting;
  }

  get isOn() {
    return this.store.state.tool === "review";
  }

  onEnter() {
    this.popovers.close();
    this.arrived();
  }

  onLeave() {
    this.stage.setRing(null);
    this.store.set({ review: null });
    this.stage.fit();
  }

  /** Begin anew, on the image shown. */
  arrived() {
    this.restart();
    this.ask("on");
  }

  /** Another image is shown, or objects were counted anew: the one in the ring stays until it is answered. */
  follow() {
    if (!this.isOn) return;
    if (this.store.state.labelled.image?.id !== this.imageId) this.arrived();
    else if (!this.walk.current && this.#leastSure()) this.ask("on");
  }

  /** How many objects are left to look at, the one in the ring too. */
  nLeft() {
    const { counting, walk } = this;
    const { spacing } = this.store.state.count;
    const left = counting.open().filter((object) => leastSure([object], walk.done(), spacing) !== null);
    return Math.max(left.length, walk.current ? 1 : 0);
  }

  /** @param {number} classId the background: it is no object */
  answer(classId) {
    const { current } = this.walk;
    const point = current && this.counting.answerOf(current, classId, "query");
    if (!point) return;
    this.walk.go("answer");
    this.answerWith(point);
    this.ask("on");
  }

  /** It is what the counter says. */
  accept() {
    const { current } = this.walk;
    if (current) this.answer(current.classId);
  }

  /** It is no object. */
  reject() {
    const background = backgroundOf(this.store.state.scene.classes);
    if (background >= 0) this.answer(background);
  }

  skip() {
    if (!this.walk.current) return;
    this.walk.go("skip");
    this.ask("on");
  }

  /** @param {Place} at */
  onUp(at) {
    this.counting.onUp(at);
  }

  /** @param {Place} at */
  onRemove(at) {
    this.counting.onRemove(at);
  }

  removable() {
    return this.counting.removable();
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    const { current } = this.walk;
    switch (action.type) {
      case "accept":
      case "reject":
      case "skip":
        this[action.type]();
        return true;
      case "class": {
        const label = this.store.state.scene.classes[action.number - 1];
        if (label && current) this.answer(label.id);
        return label !== undefined && current !== null;
      }
      default:
        return super.onKey(action);
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {import("../types.js").View} view @param {import("../types.js").Size} size */
  drawOver(context, view, size) {
    this.counting.drawOver(context, view, size);
  }

  /** On to the least sure object, unless what was taken back is done again. @param {"on" | "back"} way */
  ask(way) {
    const { stage, walk } = this;
    if (way === "on" && walk.undone.length === 0) {
      walk.cut();
      const next = this.#leastSure();
      if (next) walk.extend([next]);
    }
    const { current: asked } = walk;
    stage.setRing(asked);
    this.store.set({ review: { asked, canGoBack: walk.acts.length > 0, nSkipped: walk.passed().length } });
    this.approach();
  }

  #leastSure() {
    return leastSure(this.counting.open(), this.walk.done(), this.store.state.count.spacing);
  }
}
