// @ts-check
/** @typedef {import("./tool.js").Tool} Tool */
/** @typedef {import("../state/page.js").Place} Place */
/**
 * @typedef {object} PointerParts
 * @property {() => Tool} tool the one that is chosen
 * @property {import("./navigation.js").Navigation} navigation gets every drag that the chosen tool does not take
 * @property {() => void} onPress
 * @property {(at: Place | null) => void} onHover
 * @property {() => boolean} isSpaceHeld
 */

/** A press that moves further than this is a drag. */
const DRAG_PX = 4;
const WHEEL_STEP = 0.0016;
const PINCH_STEP = 0.01;
const LINE_PX = 30;

/** Presses, drags, wheel and two fingers on the viewport: told apart here, and given to the tool that they are for. */
export class Pointer {
  /** @param {HTMLElement} viewport @param {PointerParts} parts */
  constructor(viewport, parts) {
    this.viewport = viewport;
    this.parts = parts;
    /** @type {Map<number, Place>} */
    this.fingers = new Map();
    /** @type {{id: number, tool: Tool, start: Place, isDrag: boolean} | null} */
    this.press = null;
    this.isTouch = false;
  }

  /** @param {AbortSignal} signal ends the listening */
  listen(signal) {
    const { viewport } = this;
    const up = (/** @type {PointerEvent} */ event) => this.#up(event);
    viewport.addEventListener("pointerdown", (event) => this.#down(event), { signal });
    viewport.addEventListener("pointermove", (event) => this.#move(event), { signal });
    viewport.addEventListener("pointerup", up, { signal });
    viewport.addEventListener("pointercancel", up, { signal });
    viewport.addEventListener("pointerleave", () => this.parts.onHover(null), { signal });
    viewport.addEventListener("wheel", (event) => this.#wheel(event), { signal, passive: false });
    viewport.addEventListener("contextmenu", (event) => this.#menu(event), { signal });
    // The browser's own scrolling by the middle button, dragging and selecting stay away.
    const still = (/** @type {MouseEvent} */ event) => event.preventDefault();
    viewport.addEventListener("mousedown", still, { signal });
    viewport.addEventListener("auxclick", still, { signal });
  }

  /** @param {MouseEvent} event @returns {Place} */
  #place(event) {
    const box = this.viewport.getBoundingClientRect();
    return { sx: event.clientX - box.left, sy: event.clientY - box.top };
  }

  #cancel() {
    this.press?.tool.cancel();
    this.press = null;
  }

  /** @param {PointerEvent} event */
  #down(event) {
    const { fingers, parts, viewport } = this;
    viewport.focus({ preventScroll: true }); // keys mean the picture from now on
    parts.onPress();
    const start = this.#place(event);
    this.isTouch = event.pointerType === "touch";
    fingers.set(event.pointerId, start);
    viewport.setPointerCapture(event.pointerId);
    if (fingers.size > 1) this.#cancel();
    else if (event.button === 2 || (event.button === 0 && event.ctrlKey)) parts.tool().onRemove(start);
    else if (event.button <= 1) {
      const tool = event.button === 0 && !parts.isSpaceHeld() ? parts.tool() : parts.navigation;
      this.press = { id: event.pointerId, tool, start, isDrag: tool.onDown(start) };
    }
  }

  /** @param {PointerEvent} event */
  #move(event) {
    const { fingers, parts, press } = this;
    const at = this.#place(event);
    const before = fingers.get(event.pointerId);
    if (before) fingers.set(event.pointerId, at);
    if (before && fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) parts.navigation.pinch(before, at, other);
      return;
    }
    if (press?.id === event.pointerId) this.#drag(press, at, event);
    parts.onHover(at);
  }

  /** @param {NonNullable<Pointer["press"]>} press @param {Place} at @param {PointerEvent} event */
  #drag(press, at, event) {
    const { start } = press;
    if (!press.isDrag && Math.hypot(at.sx - start.sx, at.sy - start.sy) > DRAG_PX) {
      press.tool.cancel();
      press.tool = this.parts.navigation;
      press.isDrag = press.tool.onDown(start);
    }
    if (!press.isDrag) return;
    const passed = event.getCoalescedEvents?.() ?? [];
    press.tool.onMove(at, passed.length ? passed.map((one) => this.#place(one)) : [at]);
  }

  /** @param {PointerEvent} event */
  #up(event) {
    const { press } = this;
    this.fingers.delete(event.pointerId);
    if (press?.id !== event.pointerId) return;
    this.press = null;
    if (event.type === "pointerup") press.tool.onUp(press.isDrag ? this.#place(event) : press.start);
    else press.tool.cancel();
  }

  /** @param {WheelEvent} event */
  #wheel(event) {
    event.preventDefault();
    const { navigation, onHover, tool } = this.parts;
    const at = this.#place(event);
    const direction = -Math.sign(event.deltaY || event.deltaX); // some systems turn the wheel sideways with Shift
    if (event.shiftKey && tool().onWheel(direction)) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    const step = event.ctrlKey ? PINCH_STEP : WHEEL_STEP;
    navigation.zoom(Math.exp(-event.deltaY * lines * step), at);
    onHover(at);
  }

  /** @param {MouseEvent} event */
  #menu(event) {
    event.preventDefault();
    if (!this.isTouch) return; // the mouse has done it when the button went down
    this.#cancel(); // a long press is the right click of a finger
    this.parts.tool().onRemove(this.#place(event));
  }
}
