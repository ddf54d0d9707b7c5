// @ts-check
import { mounting } from "./protocol/mounting.js";
import { appBase } from "./protocol/routes.js";
import { Workspace } from "./workspace.js";

/** @typedef {import("./types.js").Scene} Scene */
/** @typedef {import("./protocol/mounting.js").Mount<Scene, Workspace>} Mount */

/** @param {Workspace} workspace @param {Mount} mount */
function update(workspace, { data, setState }) {
  workspace.update(data, setState);
}

export default mounting({
  root: ".fcnlab",
  nameOf: (/** @type {Scene} */ scene) => scene.project.key,
  batchOf: (scene) => scene.constants.batch,
  begin: (root, /** @type {Mount} */ mount, log) => {
    const workspace = new Workspace(root, mount.data, log, mount.setState, appBase(import.meta.url));
    update(workspace, mount);
    return workspace;
  },
  update,
});
