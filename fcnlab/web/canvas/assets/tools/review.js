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
   * @param {object} parts
   * @param {import("../state/page.js").PageStore} parts.store
   * @param {import("../state/labelling.js").Labelling} parts.labelling
   * @param {import("./counting.js").CountingTool} parts.counting
   * @param {Pick<import("../view/stage.js").Stage, "fit" | "approach" | "setRing" | "isFitted">} parts.stage
   * @param {import("./toolbox.js").Toolbox} parts.toolbox
   * @param {Pick<import("../widgets/popover.js").Popovers, "close">} parts.popovers
   * @param {Pick<import("../widgets/popover.js").Toasts, "show">} parts.toasts
   */
  constructor({ store, labelling, counting, stage, toolbox, popovers, toasts }) {
    super({ labelling, toasts });
    this.store = store;
    this.counting = counting;
    this.stage = stage;
    this.toolbox = toolbox;
    this.popovers = popovers;
    /** The image whose objects are asked about. @type {number | null} */
    this.imageId = null;
  }

  get isOn() {
    return this.store.state.tool === "review";
  }

  /** @override */
  onEnter() {
    this.popovers.close();
    this.arrived();
  }

  /** @override */
  onLeave() {
    this.stage.setRing(null);
    this.store.set({ review: null });
    this.stage.fit();
  }

  /** Begin anew, on the image shown. */
  arrived() {
    this.imageId = this.store.state.labelled.image?.id ?? null;
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

  /** @param {Place} at @override */
  onUp(at) {
    this.counting.onUp(at);
  }

  /** @param {Place} at @override */
  onRemove(at) {
    this.counting.onRemove(at);
  }

  /** @override */
  removable() {
    return this.counting.removable();
  }

  /** @param {import("./keys.js").Action} action @override */
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
      case "undo":
        this.back();
        return true;
      case "redo":
        this.forward();
        return true;
      case "fit":
        if (!current || !this.stage.isFitted) return false;
        this.stage.approach(current);
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

  /** @param {CanvasRenderingContext2D} context @param {import("../types.js").View} view @param {import("../types.js").Size} size @override */
  drawOver(context, view, size) {
    this.counting.drawOver(context, view, size);
  }

  /** On to the least sure object, unless what was taken back is done again. @param {"on" | "back"} way @override */
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
    if (asked) stage.approach(asked);
    else stage.fit();
  }

  #leastSure() {
    return leastSure(this.counting.open(), this.walk.done(), this.store.state.count.spacing);
  }
}
