// @ts-check
import { openLog } from "./protocol/identity.js";
import { appBase } from "./protocol/routes.js";
import { Workspace } from "./workspace.js";

/** @typedef {import("./types.js").Scene} Scene */
/** @typedef {import("./types.js").SetState} SetState */
/** @typedef {{project: string, scene: Scene, setState: SetState, workspace: Workspace | null, isGone: boolean}} Mount */

/** What runs in each place of the page. @type {WeakMap<object, Mount>} */
const mounts = new WeakMap();

/**
 * Streamlit calls this when the component appears and again whenever its data changes. It calls the function returned
 * when the component leaves the page, but also when newer data overtook this call: only the page tells which.
 * @param {{data: Scene, parentElement: ParentNode & object, setStateValue: SetState}} component
 */
export default function draw({ data, parentElement, setStateValue }) {
  let mount = mounts.get(parentElement);
  if (mount && mount.project !== data.project.key) {
    leave(mount);
    mount = undefined;
  }
  if (mount) {
    Object.assign(mount, { scene: data, setState: setStateValue });
    mount.workspace?.update(data, setStateValue);
  } else {
    mount = { project: data.project.key, scene: data, setState: setStateValue, workspace: null, isGone: false };
    mounts.set(parentElement, mount);
    enter(mount, /** @type {HTMLElement} */ (parentElement.querySelector(".fcnlab")));
  }
  return () => setTimeout(() => !parentElement.isConnected && remove(parentElement));
}

/** @param {object} place */
function remove(place) {
  const mount = mounts.get(place);
  if (mount) leave(mount);
  mounts.delete(place);
}

/** @param {Mount} mount @param {HTMLElement} root */
async function enter(mount, root) {
  const log = await openLog(mount.project, mount.scene.constants.batch);
  if (mount.isGone) return;
  const { scene, setState } = mount;
  mount.workspace = new Workspace(root, scene, log, setState, appBase(import.meta.url));
  mount.workspace.update(scene, setState);
}

/** @param {Mount} mount */
function leave(mount) {
  mount.isGone = true;
  mount.workspace?.stop();
}
