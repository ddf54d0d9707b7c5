// @ts-check
import { BrushBar } from "../widgets/brushbar.js";
import { h } from "../widgets/dom.js";
import { sized } from "../view/marks.js";
import { strokeOf } from "../state/strokes.js";
import { Composition, sideOfMask } from "../view/composition.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */
/** @typedef {import("../types.js").Overlay} Overlay */
/** @typedef {"brush" | "eraser"} Tool */

/** A mask has at most so many pixels along its longer side, unless the project says otherwise. */
const USUAL_SIDE = 1536;
/** At first the brush is this part of the picture's shorter side wide. */
const FIRST_PART = 1 / 25;
const LARGEST_PART = 1 / 2;
const STEP = 1.2;
/** A smaller circle would hide in its own outline. */
const SEEN_PX = 2.5;

/** Paints over the mask: strokes are drawn at once, and become an event when the button goes up. */
export class Brush {
  /** @param {Workspace} workspace */
  constructor(workspace) {
    this.workspace = workspace;
    /** @type {Tool | null} */
    this.tool = null;
    /** The stroke being drawn, in pixels of the picture. @type {{x: number, y: number}[] | null} */
    this.path = null;
    /** The image it is drawn on. @type {number | null} */
    this.imageId = null;
    /** The newest overlay of the server. @type {Overlay | null} */
    this.received = null;
    this.composition = new Composition(workspace.stage, USUAL_SIDE);
    this.frame = 0;
    this.canvas = h("canvas", { class: "strokes" });
    this.bar = new BrushBar(this);
  }

  get isOn() {
    return this.tool !== null;
  }

  /** Whether a press on the picture paints. */
  get paints() {
    const { labelling, notes } = this.workspace;
    const hasPaint = this.tool === "eraser" || (this.isOn && this.workspace.currentClass() >= 0);
    return hasPaint && labelling.image !== null && notes.veil.hidden && labelling.now().state !== "done";
  }

  /** Diameter of the brush in pixels of the picture. */
  get size() {
    const { smallest, largest } = this.limits();
    const { image } = this.workspace.labelling;
    const first = image ? Math.round(Math.min(image.width, image.height) * FIRST_PART) : smallest;
    return Math.min(largest, Math.max(smallest, this.workspace.memory.brushSize ?? first));
  }

  /** The thinnest brush is one pixel of the overlay, so that no stroke falls between those. */
  limits() {
    const { image } = this.workspace.labelling;
    if (!image) return { smallest: 1, largest: 1 };
    const side = Math.max(image.width, image.height);
    const smallest = Math.max(1, Math.ceil(side / sideOfMask(this.received, image, USUAL_SIDE)));
    return { smallest, largest: Math.max(smallest, Math.round(Math.min(image.width, image.height) * LARGEST_PART)) };
  }

  /** @param {Tool} tool the same one again puts it away */
  toggle(tool) {
    if (this.tool === tool) this.leave();
    else this.take(tool);
  }

  /** @param {Tool} tool */
  take(tool) {
    const { workspace } = this;
    if (workspace.asking.isOn) workspace.asking.leave();
    workspace.popovers.close();
    this.tool = tool;
    this.path = null;
    workspace.show({ mode: "mask", overlay: true });
  }

  leave() {
    this.tool = null;
    this.path = null;
    this.workspace.show({});
  }

  /** @param {number} size */
  resize(size) {
    const { smallest, largest } = this.limits();
    this.workspace.memory.brushSize = Math.min(largest, Math.max(smallest, Math.round(size)));
    this.workspace.memory.save();
    this.bar.update();
    this.redraw();
  }

  /** One step larger or smaller. @param {number} direction */
  step(direction) {
    const { size } = this;
    this.resize(direction > 0 ? Math.max(size + 1, size * STEP) : Math.min(size - 1, size / STEP));
  }

  /**
   * What a key means while painting.
   * @param {import("./keys.js").Action} action
   * @returns {boolean} whether it means anything here
   */
  perform(action) {
    if (action.type === "brush" || action.type === "eraser") {
      if (this.workspace.labelling.image) this.toggle(action.type);
      return true;
    }
    if (!this.isOn) return false;
    switch (action.type) {
      case "fainter":
      case "stronger":
        this.step(action.type === "stronger" ? 1 : -1);
        return true;
      case "escape":
        if (this.path) this.cancel();
        else if (!this.workspace.popovers.close()) this.leave();
        return true;
      case "undo":
      case "redo":
        return this.path !== null; // not while the button is down
      case "ask":
        this.leave();
        return false;
      default:
        return false;
    }
  }

  /** The button went down. @param {number} sx @param {number} sy */
  begin(sx, sy) {
    this.path = [this.#place(sx, sy)];
    this.imageId = this.workspace.labelling.image?.id ?? null;
    if (!this.workspace.display.overlay) this.workspace.show({ overlay: true });
    this.redraw();
  }

  /** @param {number} sx @param {number} sy */
  extend(sx, sy) {
    this.path?.push(this.#place(sx, sy));
    this.redraw();
  }

  /** The button went up: what was painted is one event. */
  end() {
    const { path, size, workspace } = this;
    const { image } = workspace.labelling;
    this.path = null;
    this.redraw();
    const isMeant = this.paints && image?.id === this.imageId; // else the image was changed or done meanwhile
    if (!path || !image || !isMeant) return;
    const stroke = strokeOf(path, size, image, this.tool === "eraser" ? null : workspace.currentClass());
    if (stroke === "too large") workspace.toasts.show("This stroke is too long to be kept. Paint it in parts.", "bad");
    else if (stroke) workspace.labelling.record("brush", { ...stroke });
  }

  cancel() {
    this.path = null;
    this.redraw();
  }

  /** An overlay came. @param {Overlay} overlay */
  receive(overlay) {
    this.received = overlay;
    this.show();
    this.bar.update();
  }

  /** Something changed: show it. */
  update() {
    const { workspace } = this;
    const { image } = workspace.labelling;
    if (this.isOn && (workspace.display.mode !== "mask" || workspace.asking.isOn || !image)) {
      this.tool = null;
      this.path = null;
    }
    workspace.stage.element.classList.toggle("painting", this.paints);
    this.bar.update();
    this.show();
    this.redraw();
  }

  show() {
    const { labelling, display, meta } = this.workspace;
    const { image, fresh } = labelling;
    const { received } = this;
    const strokesBeyond = (/** @type {number} */ covers) => fresh.beyond(covers);
    this.composition.update({ image, mode: display.mode, received, strokesBeyond, covers: meta?.covers ?? 0 });
  }

  redraw() {
    this.frame ||= requestAnimationFrame(() => this.#draw());
  }

  stop() {
    cancelAnimationFrame(this.frame);
  }

  /** @param {number} sx @param {number} sy */
  #place(sx, sy) {
    const { view } = this.workspace.stage;
    return { x: (sx - view.x) / view.scale, y: (sy - view.y) / view.scale };
  }

  #draw() {
    this.frame = 0;
    const { stage, cursor } = this.workspace;
    if (!this.paints) {
      if (this.canvas.width) this.canvas.width = 0; // empty, and no memory held
      return;
    }
    const context = sized(this.canvas, stage.size);
    if (!this.canvas.width) return;
    const ratio = this.canvas.width / stage.size.width;
    context.scale(ratio, ratio);
    if (this.path) this.#drawPath(context, this.path);
    if (cursor) drawCircle(context, cursor.sx, cursor.sy, (this.size * stage.view.scale) / 2);
  }

  /** @param {CanvasRenderingContext2D} context @param {{x: number, y: number}[]} path */
  #drawPath(context, path) {
    const { stage, display } = this.workspace;
    const { view } = stage;
    context.globalAlpha = this.tool === "eraser" ? 0.55 : Math.max(0.35, display.opacity);
    context.strokeStyle = this.tool === "eraser" ? "#ffffff" : this.colour();
    context.lineWidth = this.size * view.scale;
    context.lineCap = context.lineJoin = "round";
    context.beginPath();
    path.forEach(({ x, y }, k) => {
      const at = [x * view.scale + view.x, y * view.scale + view.y];
      if (k === 0) context.moveTo(at[0], at[1]);
      context.lineTo(at[0], at[1]); // a line to where it begins is a dot
    });
    context.stroke();
    context.globalAlpha = 1;
  }

  /** Of the class that is painted. */
  colour() {
    const { scene } = this.workspace;
    return scene.classes.find((label) => label.id === this.workspace.currentClass())?.colour ?? "#888888";
  }
}

/** @param {CanvasRenderingContext2D} context @param {number} sx @param {number} sy @param {number} radius */
function drawCircle(context, sx, sy, radius) {
  const path = new Path2D();
  path.arc(sx, sy, Math.max(SEEN_PX, radius), 0, 2 * Math.PI);
  for (const [colour, width] of /** @type {const} */ ([["rgba(0, 0, 0, 0.75)", 3], ["#ffffff", 1.25]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(path);
  }
}
