// @ts-check
/** @typedef {import("./workspace.js").Workspace} Workspace */

/** @type {import("./types.js").Mode[]} */
const MODES = ["mask", "probability", "uncertainty"];

/**
 * Do what a key means.
 * @param {Workspace} workspace
 * @param {import("./keys.js").Action} action
 */
export function perform(workspace, action) {
  const { asking, brush, display, labelling, navigator, stage } = workspace;
  if (asking.isOn && asking.perform(action)) return;
  if (brush.perform(action)) return;
  switch (action.type) {
    case "class": {
      const label = workspace.scene.classes[action.number - 1];
      return label ? workspace.choose(label.id) : workspace.toasts.show(`There is no class ${action.number}.`, "bad");
    }
    case "typing":
      return workspace.notes.setTyped(action.digits);
    case "undo":
    case "redo":
      return labelling.record(action.type);
    case "fit":
      return stage.fit();
    case "next":
      return navigator.step(1);
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
