// @ts-check
import { currentClass } from "../state/page.js";
import { nearest } from "../state/points.js";
import { pixelAt } from "../state/view.js";
import { Tool } from "./tool.js";

/** @typedef {import("../state/page.js").Place} Place */
/** @typedef {import("./tool.js").ToolParts} ToolParts */

/** A click adds a point of the current class, a right click removes the nearest one. */
export class PointTool extends Tool {
  /** @param {Pick<ToolParts, "store" | "labelling">} parts */
  constructor({ store, labelling }) {
    super();
    this.store = store;
    this.labelling = labelling;
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

  /** @param {{row: number, col: number}} pixel @param {number} classId */
  add(pixel, classId) {
    this.labelling.record("add", { ...pixel, class_id: classId });
  }

  /** @param {Place} at */
  onRemove(at) {
    const uid = this.#removableAt(at);
    if (uid !== null) this.labelling.record("remove", { uid });
  }

  removable() {
    const { cursor } = this.store.state;
    return cursor && this.#removableAt(cursor);
  }

  /** @param {Place} at */
  #removableAt({ sx, sy }) {
    const { labelled, view } = this.store.state;
    return labelled.state === "done" ? null : (nearest(labelled.points, view, sx, sy)?.[0] ?? null);
  }
}
