// @ts-check
/** @typedef {import("./tool.js").Tool} Tool */
/** @typedef {import("../state/page.js").Place} Place */

/** A press that moves further than this is a drag. */
const DRAG_PX = 4;
const WHEEL_STEP = 0.0016;
const PINCH_STEP = 0.01;
const LINE_PX = 30;

/**
 * Presses, drags, wheel and two fingers on the viewport: told apart here, and given to the tool that they are for.
 * @param {HTMLElement} viewport
 * @param {object} parts
 * @param {() => Tool} parts.tool the one that is chosen
 * @param {import("./navigation.js").Navigation} parts.navigation gets every drag that the chosen tool does not take
 * @param {(at: Place | null) => void} parts.onHover
 * @param {() => boolean} parts.isSpaceHeld
 * @param {AbortSignal} signal ends the listening
 */
export function listen(viewport, { tool, navigation, onHover, isSpaceHeld }, signal) {
  /** @type {Map<number, Place>} */
  const fingers = new Map();
  /** @type {{id: number, tool: Tool, start: Place, isDrag: boolean} | null} */
  let press = null;
  let isTouch = false;

  /** @param {MouseEvent} event @returns {Place} */
  const place = (event) => {
    const box = viewport.getBoundingClientRect();
    return { sx: event.clientX - box.left, sy: event.clientY - box.top };
  };

  const cancel = () => {
    press?.tool.cancel();
    press = null;
  };

  /** @param {PointerEvent} event */
  const down = (event) => {
    viewport.focus({ preventScroll: true }); // keys mean the picture from now on
    const start = place(event);
    isTouch = event.pointerType === "touch";
    fingers.set(event.pointerId, start);
    viewport.setPointerCapture(event.pointerId);
    if (fingers.size > 1) cancel();
    else if (event.button === 2 || (event.button === 0 && event.ctrlKey)) tool().onRemove(start);
    else if (event.button <= 1) {
      const chosen = event.button === 0 && !isSpaceHeld() ? tool() : navigation;
      press = { id: event.pointerId, tool: chosen, start, isDrag: chosen.onDown(start) };
    }
  };

  /** @param {PointerEvent} event */
  const move = (event) => {
    const at = place(event);
    const before = fingers.get(event.pointerId);
    if (before) fingers.set(event.pointerId, at);
    if (before && fingers.size === 2) {
      const other = [...fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) navigation.pinch(before, at, other);
      return;
    }
    if (press?.id === event.pointerId) {
      const { start, isDrag } = press;
      if (!isDrag && Math.hypot(at.sx - start.sx, at.sy - start.sy) > DRAG_PX) {
        press.tool.cancel();
        press = { ...press, tool: navigation, isDrag: navigation.onDown(start) };
      }
      if (press.isDrag) {
        const passed = event.getCoalescedEvents?.() ?? [];
        press.tool.onMove(at, passed.length ? passed.map(place) : [at]);
      }
    }
    onHover(at);
  };

  /** @param {PointerEvent} event */
  const up = (event) => {
    fingers.delete(event.pointerId);
    if (press?.id !== event.pointerId) return;
    const { tool: pressed, start, isDrag } = press;
    press = null;
    if (event.type === "pointerup") pressed.onUp(isDrag ? place(event) : start);
    else pressed.cancel();
  };

  /** @param {WheelEvent} event */
  const wheel = (event) => {
    event.preventDefault();
    const at = place(event);
    const direction = -Math.sign(event.deltaY || event.deltaX); // some systems turn the wheel sideways with Shift
    if (event.shiftKey && tool().onWheel(direction)) return;
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? LINE_PX : 1;
    const step = event.ctrlKey ? PINCH_STEP : WHEEL_STEP;
    navigation.zoom(Math.exp(-event.deltaY * lines * step), at);
    onHover(at);
  };

  /** @param {MouseEvent} event */
  const menu = (event) => {
    event.preventDefault();
    if (!isTouch) return; // the mouse has done it when the button went down
    cancel(); // a long press is the right click of a finger
    tool().onRemove(place(event));
  };

  viewport.addEventListener("pointerdown", down, { signal });
  viewport.addEventListener("pointermove", move, { signal });
  viewport.addEventListener("pointerup", up, { signal });
  viewport.addEventListener("pointercancel", up, { signal });
  viewport.addEventListener("pointerleave", () => onHover(null), { signal });
  viewport.addEventListener("wheel", wheel, { signal, passive: false });
  viewport.addEventListener("contextmenu", menu, { signal });
  // The browser's own scrolling by the middle button, dragging and selecting stay away.
  const still = (/** @type {MouseEvent} */ event) => event.preventDefault();
  viewport.addEventListener("mousedown", still, { signal });
  viewport.addEventListener("auxclick", still, { signal });
}
