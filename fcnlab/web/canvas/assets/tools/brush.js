// @ts-check
import { classOf, currentClass, remember, setDisplay } from "../state/page.js";
import { strokeOf } from "../state/strokes.js";
import { sideOfMask } from "../view/composition.js";
import { drawCircle } from "../view/marks.js";
import { Tool } from "./tool.js";

/** @typedef {import("../state/page.js").Place} Place */
/** @typedef {import("./tool.js").ToolParts} ToolParts */
/** @typedef {import("../types.js").View} View */

/** At first the brush is this part of the picture's shorter side wide. */
const FIRST_PART = 1 / 25;
const LARGEST_PART = 1 / 2;
const STEP = 1.2;

/** Paints over the mask, or erases: a stroke is drawn at once, and becomes an event when the button goes up. */
export class Brush extends Tool {
  /** @param {Pick<ToolParts, "store" | "labelling" | "toolbox" | "popovers" | "toasts"> & {redraw: () => void}} parts @param {boolean} erases */
  constructor({ store, labelling, toolbox, popovers, toasts, redraw }, erases) {
    super();
    this.store = store;
    this.labelling = labelling;
    this.toolbox = toolbox;
    this.popovers = popovers;
    this.toasts = toasts;
    this.redraw = redraw;
    this.erases = erases;
    /** The stroke being drawn, in pixels of the picture. @type {{x: number, y: number}[] | null} */
    this.path = null;
    /** The image it is drawn on. @type {number | null} */
    this.imageId = null;
  }

  get paints() {
    const { state } = this.store;
    const { image, state: imageState } = state.labelled;
    return (this.erases || currentClass(state) >= 0) && image !== null && state.picture === "shown" && imageState !== "done";
  }

  onEnter() {
    this.popovers.close();
    setDisplay(this.store, { mode: "mask", overlay: true });
  }

  onLeave() {
    this.cancel();
  }

  /** @param {Place} at */
  onDown(at) {
    if (!this.paints) return false;
    this.path = [this.#place(at)];
    this.imageId = this.store.state.labelled.image?.id ?? null;
    if (!this.store.state.display.overlay) setDisplay(this.store, { overlay: true });
    this.redraw();
    return true;
  }

  /** @param {Place} _at @param {readonly Place[]} passed */
  onMove(_at, passed) {
    this.path?.push(...passed.map((at) => this.#place(at)));
    this.redraw();
  }

  /** What was painted is one event. */
  onUp() {
    const { path, paints } = this;
    const { state } = this.store;
    const { image } = state.labelled;
    this.cancel();
    const isMeant = paints && image?.id === this.imageId; // else the image was changed or done meanwhile
    if (!path || !image || !isMeant) return;
    const stroke = strokeOf(path, brushSize(state), image, this.erases ? null : currentClass(state), state.scene.constants);
    if (stroke === "too large") this.toasts.show("This stroke is too long to be saved. Paint it in parts.", "bad");
    else if (stroke) this.labelling.record("brush", { ...stroke });
  }

  cancel() {
    this.path = null;
    this.redraw();
  }

  /** @param {number} direction the brush becomes larger or smaller */
  onWheel(direction) {
    if (!this.paints) return false;
    stepSize(this.store, direction);
    return true;
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    switch (action.type) {
      case "fainter":
      case "stronger":
        stepSize(this.store, action.type === "stronger" ? 1 : -1);
        return true;
      case "escape":
        if (this.path) this.cancel();
        else if (!this.popovers.close()) this.toolbox.choose("points");
        return true;
      case "undo":
      case "redo":
        return this.path !== null; // not while the button is down
      default:
        return false;
    }
  }

  /** @param {CanvasRenderingContext2D} context @param {View} view */
  draw(context, view) {
    const { state } = this.store;
    const size = brushSize(state) * view.scale;
    if (this.path) {
      context.globalAlpha = this.erases ? 0.55 : Math.max(0.35, state.display.opacity);
      context.strokeStyle = this.erases ? "#ffffff" : (classOf(state, currentClass(state))?.colour ?? "#888888");
      drawPath(context, view, this.path, size);
      context.globalAlpha = 1;
    }
    if (state.cursor) drawCircle(context, state.cursor, size / 2);
  }

  /** @param {Place} at */
  #place({ sx, sy }) {
    const { view } = this.store.state;
    return { x: (sx - view.x) / view.scale, y: (sy - view.y) / view.scale };
  }
}

/** Diameter of the brush in pixels of the picture. @param {import("../state/page.js").PageState} state */
export function brushSize(state) {
  const { smallest, largest } = brushLimits(state);
  const { image } = state.labelled;
  const first = image ? Math.round(Math.min(image.width, image.height) * FIRST_PART) : smallest;
  return Math.min(largest, Math.max(smallest, state.memory.brushSize ?? first));
}

/**
 * The thinnest brush is one pixel of the overlay, so that no stroke falls between those.
 * @param {import("../state/page.js").PageState} state
 */
export function brushLimits({ labelled: { image }, received, scene }) {
  if (!image) return { smallest: 1, largest: 1 };
  const cells = sideOfMask(received, image, scene.constants.mask_side);
  const smallest = Math.max(1, Math.ceil(Math.max(image.width, image.height) / cells));
  return { smallest, largest: Math.max(smallest, Math.round(Math.min(image.width, image.height) * LARGEST_PART)) };
}

/** @param {import("../state/page.js").PageStore} store @param {number} size */
export function resizeBrush(store, size) {
  const { smallest, largest } = brushLimits(store.state);
  remember(store, { brushSize: Math.min(largest, Math.max(smallest, Math.round(size))) });
}

/** @param {import("../state/page.js").PageStore} store @param {number} direction */
function stepSize(store, direction) {
  const size = brushSize(store.state);
  resizeBrush(store, direction > 0 ? Math.max(size + 1, size * STEP) : Math.min(size - 1, size / STEP));
}

/** @param {CanvasRenderingContext2D} context @param {View} view @param {{x: number, y: number}[]} path @param {number} width */
function drawPath(context, view, path, width) {
  context.lineWidth = width;
  context.lineCap = context.lineJoin = "round";
  context.beginPath();
  path.forEach(({ x, y }, k) => {
    const at = [x * view.scale + view.x, y * view.scale + view.y];
    if (k === 0) context.moveTo(at[0], at[1]);
    context.lineTo(at[0], at[1]); // a line to where it begins is a dot
  });
  context.stroke();
}
