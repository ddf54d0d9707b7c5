// @ts-check
import { offeredModes } from "../state/modes.js";
import { currentClass, gradesOf, remember, setDisplay, shownDisplay } from "../state/page.js";
import { canReverse } from "../state/points.js";
import { counted } from "../widgets/messages.js";

/** @typedef {import("../state/page.js").PageStore} PageStore */
/** @typedef {import("../state/labelling.js").Labelling} Labelling */
/** @typedef {import("../widgets/popover.js").Popovers} Popovers */
/** @typedef {import("../widgets/popover.js").Toasts} Toasts */

const ZOOM = 1.5;
/** More points than this are not removed without a question. */
const CLEAR_ASKS_ABOVE = 5;

/**
 * @typedef {object} ActionParts
 * @property {PageStore} store
 * @property {Labelling} labelling
 * @property {import("./toolbox.js").Toolbox} toolbox
 * @property {import("./finishing.js").Finishing} finishing
 * @property {Popovers} popovers
 * @property {Toasts} toasts
 * @property {Pick<import("../protocol/navigator.js").ImageNavigator, "step">} navigator
 * @property {Pick<import("../view/stage.js").Stage, "fit" | "room" | "zoom">} stage
 * @property {Pick<import("./crosshair.js").Crosshair, "begin">} crosshair
 * @property {Pick<import("../widgets/help.js").Help, "toggle">} help
 * @property {Pick<import("../widgets/hints.js").Notes, "setTyped">} notes
 */

/**
 * Do what a key means: what the chosen tool makes of it, else what it means everywhere.
 * @param {ActionParts} parts
 * @param {import("./keys.js").Action} action
 */
export function perform(parts, action) {
  const { finishing, navigator, notes, popovers, stage, store, toasts, toolbox } = parts;
  const { display, labelled, scene } = store.state;
  if (action.type !== "escape") popovers.close(); // what was asked is not what is meant any more
  if (toolbox.onKey(action)) return;
  switch (action.type) {
    case "class": {
      const label = scene.classes[action.number - 1];
      return label ? chooseClass(store, label.id) : toasts.show(`There is no class ${action.number}.`, "bad");
    }
    case "typing":
      return notes.setTyped(action.digits);
    case "undo":
    case "redo":
      return reverse(parts, action.type);
    case "fit":
      return stage.fit();
    case "nearer":
    case "further":
      return zoom(parts, action.type === "nearer" ? ZOOM : 1 / ZOOM);
    case "cursor":
      return parts.crosshair.begin();
    case "next":
      return void (navigator.step(1) || finishing.sayLast());
    case "previous":
      return void navigator.step(-1);
    case "done":
      return finishing.finish();
    case "complete":
      return finishing.complete();
    case "swap":
      return swapClass(store);
    case "brush":
    case "eraser":
      return labelled.image ? toolbox.toggle(action.type) : undefined;
    case "ask":
      return labelled.image ? toolbox.toggle(scene.project.task === "counts" ? "review" : "query") : undefined;
    case "overlay":
      return setDisplay(store, { overlay: !display.overlay });
    case "contour":
      return setDisplay(store, { contour: !display.contour, overlay: true });
    case "heat":
      return nextMode(store);
    case "fainter":
      return setDisplay(store, { opacity: Math.max(0.05, display.opacity - 0.1) });
    case "stronger":
      return setDisplay(store, { opacity: Math.min(1, display.opacity + 0.1), overlay: true });
    case "help":
      return parts.help.toggle();
    case "escape":
      return void popovers.close();
  }
}

/** Show the image in the next of the modes that it offers. @param {PageStore} store */
function nextMode(store) {
  const { labelled } = store.state;
  const modes = offeredModes(labelled.image, labelled.state, gradesOf(store.state).length > 0);
  setDisplay(store, { mode: modes[(modes.indexOf(shownDisplay(store.state).mode) + 1) % modes.length], overlay: true });
}

/** Zoom at the cursor, else in the middle. @param {Pick<ActionParts, "stage" | "store">} parts @param {number} factor */
function zoom({ stage, store }, factor) {
  const { width, height } = stage.room();
  const { sx, sy } = store.state.cursor ?? { sx: width / 2, sy: height / 2 };
  stage.zoom(factor, sx, sy);
}

/** @param {PageStore} store @param {number} classId */
export function chooseClass(store, classId) {
  const current = currentClass(store.state);
  remember(store, classId === current ? { classId } : { classId, otherId: current });
}

/** Back to the class used before this one; at first, the other one of the first two. @param {PageStore} store */
function swapClass(store) {
  const { memory, scene } = store.state;
  const current = currentClass(store.state);
  const other = scene.classes.find((label) => label.id === memory.otherId && label.id !== current);
  const next = other ?? scene.classes.slice(0, 2).find((label) => label.id !== current);
  if (next) chooseClass(store, next.id);
}

/**
 * Undo or redo, or say why there is nothing to.
 * @param {{labelling: Labelling, toasts: Pick<Toasts, "show">}} parts @param {"undo" | "redo"} kind
 */
export function reverse({ labelling, toasts }, kind) {
  const labelled = labelling.now();
  if (canReverse(labelled, kind)) labelling.record(kind);
  else if (labelled.state === "done") toasts.show(`This image is done. Reopen it to ${kind} something.`);
  else if (labelled.image) toasts.show(`Nothing of yours to ${kind} on this image.`);
}

/** Remove all that lies on the image. @param {{labelling: Labelling, popovers: Pick<Popovers, "ask">}} parts @param {Element} anchor */
export function clear({ labelling, popovers }, anchor) {
  const about = () => [labelling.now().points.length, labelling.now().nStrokes];
  const [points, strokes] = about();
  const go = () => labelling.record("clear");
  const all = [points && counted(points, "point"), strokes && counted(strokes, "stroke")].filter(Boolean).join(" and ");
  if (points + strokes > CLEAR_ASKS_ABOVE) popovers.ask(anchor, `Remove ${all} of this image?`, [{ text: "Remove", class: "danger", act: go }], about);
  else if (all) go();
}
