// @ts-check
import { counted } from "../widgets/messages.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */

/** @type {import("../types.js").Mode[]} */
const MODES = ["mask", "probability", "uncertainty"];
/** More points than this are not removed without a question. */
const CLEAR_ASKS_ABOVE = 5;

/**
 * Do what a key means.
 * @param {Workspace} workspace
 * @param {import("./keys.js").Action} action
 */
export function perform(workspace, action) {
  const { asking, brush, counting, display, navigator, popovers, stage } = workspace;
  if (action.type !== "escape") popovers.close(); // what was asked is not what is meant any more
  if (asking.isOn && asking.perform(action)) return;
  if (counting.perform(action) || brush.perform(action)) return;
  switch (action.type) {
    case "class": {
      const label = workspace.scene.classes[action.number - 1];
      return label ? workspace.choose(label.id) : workspace.toasts.show(`There is no class ${action.number}.`, "bad");
    }
    case "typing":
      return workspace.notes.setTyped(action.digits);
    case "undo":
    case "redo":
      return reverse(workspace, action.type);
    case "fit":
      return stage.fit();
    case "next":
      return void (navigator.step(1) || workspace.sayLast());
    case "previous":
      return navigator.step(-1);
    case "done":
      return workspace.finish();
    case "swap":
      return workspace.swap();
    case "ask":
      return asking.toggle();
    case "overlay":
      return workspace.show({ overlay: !display.overlay });
    case "contour":
      return workspace.show({ contour: !display.contour, overlay: true });
    case "heat":
      return workspace.show({ mode: MODES[(MODES.indexOf(display.mode) + 1) % MODES.length], overlay: true });
    case "fainter":
      return workspace.show({ opacity: Math.max(0.05, display.opacity - 0.1) });
    case "stronger":
      return workspace.show({ opacity: Math.min(1, display.opacity + 0.1), overlay: true });
    case "help":
      return workspace.help.toggle();
    case "escape":
      return workspace.popovers.close();
  }
}

/** Undo or redo, or say why there is nothing to. @param {Workspace} workspace @param {"undo" | "redo"} kind */
export function reverse({ labelling, toasts }, kind) {
  if (labelling.canReverse(kind)) labelling.record(kind);
  else if (labelling.now().state === "done") toasts.show(`This image is done. Reopen it to ${kind} something.`);
  else if (labelling.image) toasts.show(`Nothing of yours to ${kind} on this image.`);
}

/** Remove all that lies on the image. @param {Workspace} workspace @param {Element} anchor */
export function clear({ labelling, popovers }, anchor) {
  const [points, strokes] = [labelling.now().points.length, labelling.strokes()];
  const go = () => labelling.record("clear");
  const all = [points && counted(points, "point"), strokes && counted(strokes, "stroke")].filter(Boolean).join(" and ");
  const about = () => [labelling.now().points.length, labelling.strokes()];
  if (points + strokes > CLEAR_ASKS_ABOVE) popovers.ask(anchor, `Remove ${all} of this image?`, [{ text: "Remove", class: "danger", act: go }], about);
  else if (all) go();
}

/** Say what the server wants said, once. @param {Workspace} workspace */
export function announce(workspace) {
  const { notice, refusals, acknowledged } = workspace.scene;
  const news = JSON.stringify([notice, refusals, refusals.length ? acknowledged?.seq : null]);
  if (news === workspace.announced) return;
  workspace.announced = news;
  if (notice) workspace.toasts.show(notice);
  for (const refusal of refusals) workspace.toasts.show(refusal, "bad");
}
