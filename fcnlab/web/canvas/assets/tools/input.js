// @ts-check
import { layout, renderStatus } from "../render.js";
import { belongsTo } from "./keys.js";
import { Pointer } from "./pointer.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */

/** A hidden page keeps following its overlay this long. */
const HIDDEN_MS = 60_000;
const TICK_MS = 1000;

/**
 * Listen to everything outside the workspace's own buttons until `signal` ends it.
 * @param {Workspace} workspace
 * @param {AbortSignal} signal
 */
export function attach(workspace, signal) {
  const { crosshair, help, keys, labelling, navigation, poll, popovers, root, stage, store, strip, toolbox } = workspace;
  let space = false;
  const holdSpace = (/** @type {boolean} */ held) => {
    space = held;
    stage.element.classList.toggle("movable", held);
  };
  // A mouse that only lies there does not take the cursor away from the keys; a press does.
  const onHover = (/** @type {import("../state/page.js").Place | null} */ cursor) => void (crosshair.isActive || store.set({ cursor }));
  const onPress = () => crosshair.leave();
  new Pointer(stage.element, { tool: () => toolbox.current, navigation, onPress, onHover, isSpaceHeld: () => space }).listen(signal);
  attachCrosshair(workspace, signal);

  const press = (/** @type {KeyboardEvent} */ event) => {
    if (!isForUs(workspace, event)) return;
    if (keys.digits === null && crosshair.read(event)) {
      event.preventDefault();
    } else if (event.key === " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      holdSpace(true);
      event.preventDefault();
    } else if (keys.read(event)) {
      event.preventDefault();
    }
  };
  window.addEventListener("keydown", press, { signal });
  window.addEventListener("keyup", (event) => event.key === " " && holdSpace(false), { signal });
  window.addEventListener("blur", () => holdSpace(false), { signal });

  // After a press on a thumbnail, a class or a tool the keys mean the picture; who came by Tab stays there.
  const returnFocus = (/** @type {MouseEvent} */ event) => {
    if (event.detail === 0 || popovers.open || help.isOpen) return;
    stage.focus();
  };
  root.addEventListener("click", returnFocus, { signal });

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let nap;
  const wake = () => {
    clearTimeout(nap);
    if (!poll.current || !store.state.isReachable) poll.resume();
    labelling.sender.poke();
  };
  const doze = () => {
    clearTimeout(nap);
    nap = setTimeout(() => poll.pause(), HIDDEN_MS);
  };
  document.addEventListener("visibilitychange", () => (document.hidden ? doze() : wake()), { signal });
  window.addEventListener("online", wake, { signal });

  const tick = setInterval(() => renderStatus(workspace), TICK_MS);
  const observer = new ResizeObserver(() => {
    stage.resize();
    strip.resize();
  });
  observer.observe(stage.element);
  observer.observe(strip.element);
  window.addEventListener("resize", () => layout(workspace), { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(nap);
    clearInterval(tick);
    observer.disconnect();
  });
}

/**
 * The cursor that keys move comes up when the picture is reached by Tab, and is out of sight while the focus is elsewhere.
 * @param {Pick<Workspace, "crosshair" | "stage">} workspace
 * @param {AbortSignal} signal
 */
function attachCrosshair({ crosshair, stage }, signal) {
  let isTab = false;
  window.addEventListener("keydown", (event) => (isTab = event.key === "Tab" && !event.altKey && !event.ctrlKey), { signal, capture: true });
  window.addEventListener("pointerdown", () => (isTab = false), { signal, capture: true });
  stage.element.addEventListener("focus", () => (isTab ? crosshair.enter() : crosshair.show()), { signal });
  stage.element.addEventListener("blur", () => crosshair.isOn && crosshair.hide(), { signal });
}

/** Whether a key press means the workspace. @param {Pick<Workspace, "root" | "help">} workspace @param {KeyboardEvent} event */
function isForUs({ root, help }, event) {
  const target = /** @type {any} */ (event.composedPath()[0]);
  if (event.defaultPrevented || belongsTo(target, event.key)) return false;
  if (root.getClientRects().length === 0) return false; // on a hidden tab of the page
  if (document.querySelector('[role="dialog"]')) return false; // the page asks something
  return !help.isOpen || event.key === "?";
}
