// @ts-check
import { openLog } from "./identity.js";

/** @typedef {import("./log.js").EventLog} EventLog */
/** @typedef {import("../types.js").SetState} SetState */
/**
 * What runs in a place of the page; `data` and `setState` are the newest.
 * @template Data, Page
 * @typedef {{name: string, data: Data, setState: SetState, page: Page | null, isGone: boolean}} Mount
 */

/**
 * What Streamlit calls when a component appears and again whenever its data changes. It calls the function returned when
 * the component leaves the page, but also when newer data overtook this call: only the page tells which.
 * @template Data
 * @template {{stop: () => void}} Page
 * @param {object} kind
 * @param {string} kind.root selects the element that is drawn in
 * @param {(data: Data) => string} kind.nameOf of the log; another name in the same place is another page
 * @param {(data: Data) => number} kind.batchOf the server takes so many events at a time
 * @param {(root: HTMLElement, mount: Mount<Data, Page>, log: EventLog) => Page} kind.begin
 * @param {(page: Page, mount: Mount<Data, Page>) => void} [kind.update] newer data came
 * @returns {(component: {data: Data, parentElement: ParentNode & object, setStateValue: SetState}) => () => void}
 */
export function mounting({ root, nameOf, batchOf, begin, update = () => {} }) {
  /** @type {WeakMap<object, Mount<Data, Page>>} */
  const mounts = new WeakMap();

  /** @param {Mount<Data, Page>} mount @param {HTMLElement} element */
  const enter = async (mount, element) => {
    const log = await openLog(mount.name, batchOf(mount.data));
    if (!mount.isGone) mount.page = begin(element, mount, log);
  };

  /** @param {object} place */
  const leave = (place) => {
    const mount = mounts.get(place);
    if (!mount) return;
    mount.isGone = true;
    mount.page?.stop();
    mounts.delete(place);
  };

  return ({ data, parentElement, setStateValue }) => {
    const name = nameOf(data);
    if (mounts.get(parentElement)?.name !== name) leave(parentElement);
    const mount = mounts.get(parentElement);
    if (mount) {
      Object.assign(mount, { data, setState: setStateValue });
      if (mount.page) update(mount.page, mount);
    } else {
      /** @type {Mount<Data, Page>} */
      const begun = { name, data, setState: setStateValue, page: null, isGone: false };
      mounts.set(parentElement, begun);
      void enter(begun, /** @type {HTMLElement} */ (parentElement.querySelector(root)));
    }
    return () => void setTimeout(() => !parentElement.isConnected && leave(parentElement));
  };
}
