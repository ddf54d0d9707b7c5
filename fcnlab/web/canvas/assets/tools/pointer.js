// @ts-check
/** A press that moves further than this is a drag. */
const DRAG_PX = 4;
const WHEEL_STEP = 0.0016;
const PINCH_STEP = 0.01;

/**
 * @typedef {object} Gestures
 * @property {(sx: number, sy: number) => void} onAdd
 * @property {(sx: number, sy: number) => void} onRemove
 * @property {(dx: number, dy: number) => void} onPan
 * @property {(factor: number, sx: number, sy: number) => void} onZoom
 * @property {(at: {sx: number, sy: number} | null) => void} onHover
 * @property {Painter} painter
 */

/**
 * What drags and the wheel with Shift do while somebody paints.
 * @typedef {object} Painter
 * @property {boolean} paints whether somebody paints now
 * @property {(sx: number, sy: number) => void} begin
 * @property {(sx: number, sy: number) => void} extend
 * @property {() => void} end
 * @property {() => void} cancel
 * @property {(direction: number) => void} step the brush becomes larger or smaller
 */

/**
 * Presses, drags, wheel and two fingers on the viewport, told apart.
 * @param {HTMLElement} viewport
 * @param {Gestures} gestures
 * @param {() => boolean} isSpaceHeld
 * @param {AbortSignal} signal ends the listening
 */
export function listen(viewport, gestures, isSpaceHeld, signal) {
  /** @type {Map<number, {sx: number, sy: number}>} */
  const fingers = new Map();
  /** @type {{id: number, sx: number, sy: number, startX: number, startY: number, panning: boolean, clicks: boolean, paints: boolean} | null} */
  let press = null;
  let touched = false;

  /** @param {MouseEvent} event */
  const place = (event) => {
    const box = viewport.getBoundingClientRect();
    return { sx: event.clientX - box.left, sy: event.clientY - box.top };
  };
  /** @param {boolean} on */
  const grab = (on) => viewport.classList.toggle("grabbing", on);

  /** @param {PointerEvent} event */
  const down = (event) => {
    viewport.focus({ preventScroll: true }); // keys mean the picture from now on
    const { sx, sy } = place(event);
    touched = event.pointerType === "touch";
    fingers.set(event.pointerId, { sx, sy });
    viewport.setPointerCapture(event.pointerId);
    if (fingers.size > 1) {
      if (press?.paints) gestures.painter.cancel();
      press = null;
      return;
    }
    const removes = event.button === 2 || (event.button === 0 && event.ctrlKey);
    if (removes) {
      gestures.onRemove(sx, sy);
      return;
    }
    if (event.button > 1) return;
    const isFree = event.button === 0 && !isSpaceHeld();
    const paints = isFree && gestures.painter.paints;
    press = { id: event.pointerId, sx, sy, startX: sx, startY: sy, panning: !isFree, clicks: isFree && !paints, paints };
    if (press.panning) grab(true);
    if (paints) gestures.painter.begin(sx, sy);
  };

  /** @param {PointerEvent} event */
  const move = (event) => {
    const at = place(event);
    const finger = fingers.get(event.pointerId);
    if (finger && fingers.size === 2) {
      pinch(event.pointerId, at);
      return;
    }
    if (finger) fingers.set(event.pointerId, at);
    if (!press || press.id !== event.pointerId) {
      gestures.onHover(at);
      return;
    }
    if (press.paints) {
      const passed = event.getCoalescedEvents?.() ?? [];
      for (const one of passed.length ? passed : [event]) {
        const { sx, sy } = place(one);
        gestures.painter.extend(sx, sy);
      }
      gestures.onHover(at);
      return;
    }
    if (!press.panning && Math.hypot(at.sx - press.startX, at.sy - press.startY) > DRAG_PX) {
      press.panning = true;
      press.clicks = false;
      grab(true);
    }
    if (press.panning) gestures.onPan(at.sx - press.sx, at.sy - press.sy);
    if (press.panning) Object.assign(press, at);
    gestures.onHover(at);
  };

  /** @param {number} id @param {{sx: number, sy: number}} at */
  const pinch = (id, at) => {
    const before = fingers.get(id);
    const other = [...fingers].find(([key]) => key !== id)?.[1];
    if (!before || !other) return;
    const ratio = Math.hypot(at.sx - other.sx, at.sy - other.sy) / Math.hypot(before.sx - other.sx, before.sy - other.sy);
    gestures.onPan((at.sx - before.sx) / 2, (at.sy - before.sy) / 2);
    if (Number.isFinite(ratio) && ratio > 0) gestures.onZoom(ratio, (at.sx + other.sx) / 2, (at.sy + other.sy) / 2);
    fingers.set(id, at);
  };

  /** @param {PointerEvent} event */
  const up = (event) => {
    fingers.delete(event.pointerId);
    if (!press || press.id !== event.pointerId) return;
    const { clicks, paints, startX, startY } = press;
    press = null;
    grab(false);
    if (paints && event.type === "pointerup") gestures.painter.end();
    else if (paints) gestures.painter.cancel();
    if (clicks && event.type === "pointerup") gestures.onAdd(startX, startY);
  };

  /** @param {WheelEvent} event */
  const wheel = (event) => {
    event.preventDefault();
    const { sx, sy } = place(event);
    if (event.shiftKey && gestures.painter.paints) {
      gestures.painter.step(-Math.sign(event.deltaY || event.deltaX)); // some systems turn the wheel sideways with Shift
      return;
    }
    const lines = event.deltaMode === WheelEvent.DOM_DELTA_LINE ? 30 : 1;
    const step = event.ctrlKey ? PINCH_STEP : WHEEL_STEP;
    gestures.onZoom(Math.exp(-event.deltaY * lines * step), sx, sy);
    gestures.onHover({ sx, sy });
  };

  /** @param {MouseEvent} event */
  const menu = (event) => {
    event.preventDefault();
    if (!touched) return; // the mouse has done it when the button went down
    press = null; // a long press is the right click of a finger
    const { sx, sy } = place(event);
    gestures.onRemove(sx, sy);
  };

  viewport.addEventListener("pointerdown", down, { signal });
  viewport.addEventListener("pointermove", move, { signal });
  viewport.addEventListener("pointerup", up, { signal });
  viewport.addEventListener("pointercancel", up, { signal });
  viewport.addEventListener("pointerleave", () => gestures.onHover(null), { signal });
  viewport.addEventListener("wheel", wheel, { signal, passive: false });
  viewport.addEventListener("contextmenu", menu, { signal });
  // The browser's own scrolling by the middle button, dragging and selecting stay away.
  const still = (/** @type {MouseEvent} */ event) => event.preventDefault();
  viewport.addEventListener("mousedown", still, { signal });
  viewport.addEventListener("auxclick", still, { signal });
}
