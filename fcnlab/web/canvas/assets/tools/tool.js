// @ts-check
/** @typedef {import("../state/page.js").Place} Place */
/**
 * What tools work with; each names what it needs.
 * @typedef {object} ToolParts
 * @property {import("../state/page.js").PageStore} store
 * @property {import("../state/labelling.js").Labelling} labelling
 * @property {import("./toolbox.js").Toolbox} toolbox
 * @property {Pick<import("../protocol/navigator.js").ImageNavigator, "go" | "step" | "wanted">} navigator
 * @property {Pick<import("../view/stage.js").Stage, "fit" | "approach" | "setRing" | "isFitted">} stage
 * @property {Pick<import("../widgets/popover.js").Popovers, "ask" | "close" | "open">} popovers
 * @property {Pick<import("../widgets/popover.js").Toasts, "show">} toasts
 * @property {Pick<import("../protocol/routes.js").Routes, "objects" | "page" | "queries" | "ranked">} routes
 * @property {typeof fetch} [fetch]
 */

/**
 * What pointer and keys do while a tool is chosen: each tool says what is its own, the rest stays as it is here.
 */
export class Tool {
  /** Whether a press on the picture would paint. */
  get paints() {
    return false;
  }

  /** The tool was chosen. */
  onEnter() {}

  /** Another one was chosen. */
  onLeave() {}

  /**
   * A press. A tool that takes the drag gets `onMove` for all of it; else `onUp` follows only when nothing was dragged.
   * @param {Place} _at
   * @returns {boolean} whether the drag that may follow is the tool's
   */
  onDown(_at) {
    return false;
  }

  /** The pointer moved while pressed. @param {Place} _at @param {readonly Place[]} _passed all places since the last call, `at` the last one */
  onMove(_at, _passed) {}

  /** The button went up. @param {Place} _at where it did; where the press began, unless the tool takes drags */
  onUp(_at) {}

  /** The press came to nothing. */
  cancel() {}

  /** A right click, a click with Ctrl, or a long press of a finger. @param {Place} _at */
  onRemove(_at) {}

  /** The wheel was turned with Shift. @param {number} _direction @returns {boolean} whether that means anything here */
  onWheel(_direction) {
    return false;
  }

  /** @param {import("./keys.js").Action} _action @returns {boolean} whether the key means something of its own here */
  onKey(_action) {
    return false;
  }

  /** The point that a right click at the cursor would remove, its uid. @returns {string | null} */
  removable() {
    return null;
  }

  /** What the status line says of the place under the cursor. @returns {{text: string, colour: string | null} | null} */
  words() {
    return null;
  }

  /**
   * Draw under the points, in CSS pixels; asked only while the tool paints.
   * @param {CanvasRenderingContext2D} _context
   * @param {import("../types.js").View} _view
   */
  draw(_context, _view) {}

  /**
   * Draw over the points, in CSS pixels.
   * @param {CanvasRenderingContext2D} _context
   * @param {import("../types.js").View} _view
   * @param {import("../types.js").Size} _size of the viewport
   */
  drawOver(_context, _view, _size) {}
}
