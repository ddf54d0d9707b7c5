// @ts-check
import { h } from "../widgets/dom.js";
import { classTable, colour, valueTable } from "./overlay.js";
import { isClassMap } from "../state/modes.js";
import { joined } from "../protocol/patches.js";

/** @typedef {import("../types.js").Box} Box */
/** @typedef {import("../types.js").Overlay} Overlay */

/** The overlay as colours, one canvas pixel per value; only what is stale is drawn again. */
export class Fill {
  constructor() {
    this.canvas = h("canvas", { class: "fill", width: 1, height: 1 });
    /** The values the canvas shows, but for what is stale. @type {Uint8Array | null} */
    this.values = null;
    /** Number of the overlay they are of. */
    this.number = 0;
    /** @type {Box | "all" | null} */
    this.stale = "all";
  }

  /** An overlay came: in the memory of the one it follows, it differs from that in its patch alone. @param {Overlay} overlay */
  follow(overlay) {
    if (this.values !== overlay.values || this.number !== overlay.base) this.expire();
    else if (this.stale !== "all") this.stale = joined(this.stale, overlay.patch);
    this.values = overlay.values;
    this.number = overlay.number;
  }

  /** Colours changed, or the canvas is empty. */
  expire() {
    this.stale = "all";
  }

  clear() {
    const { canvas } = this;
    canvas.getContext("2d")?.clearRect(0, 0, canvas.width, canvas.height);
    this.expire();
  }

  /**
   * @param {Overlay} overlay
   * @param {readonly import("../types.js").ClassLabel[]} classes
   * @param {{background: boolean}} display
   */
  draw(overlay, classes, display) {
    const { canvas } = this;
    const { width, height, mode } = overlay;
    if (canvas.width !== width || canvas.height !== height) {
      Object.assign(canvas, { width, height });
      this.expire();
    }
    const box = this.stale === "all" ? { top: 0, left: 0, height, width } : this.stale;
    this.stale = null;
    if (!box || !box.width || !box.height) return;
    const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
    const pixels = context.createImageData(box.width, box.height);
    const table = isClassMap(mode) ? classTable(classes, display) : valueTable(mode);
    colour(overlay, box, table, new Uint32Array(pixels.data.buffer));
    context.putImageData(pixels, box.left, box.top);
  }
}
