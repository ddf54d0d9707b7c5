// @ts-check
import { layout, renderCursor, renderStatus } from "../render.js";
import { belongsTo } from "./keys.js";
import { listen } from "./pointer.js";

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
  const { stage, labelling, poll } = workspace;
  let space = false;
  const holdSpace = (/** @type {boolean} */ held) => {
    space = held;
    stage.element.classList.toggle("movable", held);
  };

  listen(
    stage.element,
    {
      onAdd: (sx, sy) => workspace.add(sx, sy),
      onRemove: (sx, sy) => workspace.remove(sx, sy),
      onPan: (dx, dy) => stage.pan(dx, dy),
      onZoom: (factor, sx, sy) => stage.zoom(factor, sx, sy),
      onHover: (at) => {
        workspace.cursor = at;
        renderCursor(workspace);
      },
      painter: workspace.brush,
    },
    () => space,
    signal,
  );

  const press = (/** @type {KeyboardEvent} */ event) => {
    if (!isForUs(workspace, event)) return;
    if (event.key === " " && !event.ctrlKey && !event.metaKey && !event.altKey) {
      holdSpace(true);
      event.preventDefault();
    } else if (workspace.keys.read(event)) {
      event.preventDefault();
    }
  };
  window.addEventListener("keydown", press, { signal });
  window.addEventListener("keyup", (event) => event.key === " " && holdSpace(false), { signal });
  window.addEventListener("blur", () => holdSpace(false), { signal });

  // After a press on a thumbnail, a class or a tool the keys mean the picture; who came by Tab stays there.
  const returnFocus = (/** @type {MouseEvent} */ event) => {
    if (event.detail === 0 || workspace.popovers.open || workspace.help.isOpen) return;
    stage.element.focus({ preventScroll: true });
  };
  workspace.root.addEventListener("click", returnFocus, { signal });

  /** @type {ReturnType<typeof setTimeout> | undefined} */
  let nap;
  const wake = () => {
    clearTimeout(nap);
    if (!poll.current || !workspace.reachable) poll.resume();
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
    workspace.strip.resize();
  });
  observer.observe(stage.element);
  observer.observe(workspace.strip.element);
  window.addEventListener("resize", () => layout(workspace), { signal });
  signal.addEventListener("abort", () => {
    clearTimeout(nap);
    clearInterval(tick);
    observer.disconnect();
  });
}

/** Whether a key press means the workspace. @param {Workspace} workspace @param {KeyboardEvent} event */
function isForUs({ root, help }, event) {
  const target = /** @type {any} */ (event.composedPath()[0]);
  if (event.defaultPrevented || belongsTo(target, event.key)) return false;
  if (root.getClientRects().length === 0) return false; // on a hidden tab of the page
  if (document.querySelector('[role="dialog"]')) return false; // the page asks something
  return !help.isOpen || event.key === "?";
}
