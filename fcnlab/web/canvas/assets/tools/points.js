// @ts-check
import { classOf, currentClass } from "../state/page.js";
import { nearest } from "../state/points.js";
import { pixelAt } from "../state/view.js";
import { Tool } from "./tool.js";

/** @typedef {import("../state/page.js").Place} Place */
/** @typedef {import("./tool.js").ToolParts} ToolParts */

/** A finger is less exact than a mouse. */
const FINGER_REACH_PX = 22;

/** A click adds a point of the current class, a right click removes the nearest one. */
export class PointTool extends Tool {
  /** @param {Pick<ToolParts, "store" | "labelling" | "toasts">} parts */
  constructor({ store, labelling, toasts }) {
    super();
    this.store = store;
    this.labelling = labelling;
    this.toasts = toasts;
  }

  /** @param {Place} at */
  onUp(at) {
    const { state } = this.store;
    const { image, state: imageState } = state.labelled;
    const pixel = image && pixelAt(state.view, image, at.sx, at.sy);
    const classId = currentClass(state);
    if (!pixel || classId < 0 || state.picture !== "shown" || imageState === "done") return;
    this.add(pixel, classId);
  }

  /** The newest point of a pixel counts: what was marked becomes nothing else unsaid. @param {{row: number, col: number}} pixel @param {number} classId */
  add(pixel, classId) {
    const { state } = this.store;
    const before = state.labelled.points.findLast(([, row, col]) => row === pixel.row && col === pixel.col);
    const [was, is] = [classOf(state, before?.[3]), classOf(state, classId)];
    this.labelling.record("add", { ...pixel, class_id: classId });
    if (was && is && was !== is) this.toasts.show(`This pixel was ${was.name}, and is ${is.name} now. Undo takes that back.`);
  }

  /** @param {Place} at */
  onRemove(at) {
    const uid = removableAt(this.store.state, at);
    if (uid !== null) this.labelling.record("remove", { uid });
  }

  removable() {
    const { cursor } = this.store.state;
    return cursor && removableAt(this.store.state, cursor);
  }
}

/** Every click removes the point it is on and adds none: the right click of whoever has none, such as a finger. */
export class Remover extends Tool {
  /** @param {Pick<ToolParts, "store" | "labelling" | "toolbox" | "popovers" | "toasts">} parts */
  constructor({ store, labelling, toolbox, popovers, toasts }) {
    super();
    this.store = store;
    this.labelling = labelling;
    this.toolbox = toolbox;
    this.popovers = popovers;
    this.toasts = toasts;
  }

  onEnter() {
    this.popovers.close();
  }

  /** @param {Place} at */
  onUp(at) {
    this.onRemove(at);
  }

  /** @param {Place} at */
  onRemove(at) {
    const { state } = this.store;
    if (state.picture !== "shown" || !state.labelled.image || state.labelled.state === "done") return;
    const uid = removableAt(state, at, FINGER_REACH_PX);
    if (uid === null) this.toasts.show("There is no point. Each click on a point removes it.");
    else this.labelling.record("remove", { uid });
  }

  removable() {
    const { cursor } = this.store.state;
    return cursor && removableAt(this.store.state, cursor, FINGER_REACH_PX);
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    if (action.type !== "escape") return false;
    if (!this.popovers.close()) this.toolbox.choose("points");
    return true;
  }
}

/**
 * @param {import("../state/page.js").PageState} state
 * @param {Place} at
 * @param {number} [reachPx]
 * @returns {string | null} uid of the point that is meant
 */
function removableAt({ labelled, view }, { sx, sy }, reachPx) {
  return labelled.state === "done" ? null : (nearest(labelled.points, view, sx, sy, reachPx)?.[0] ?? null);
}
