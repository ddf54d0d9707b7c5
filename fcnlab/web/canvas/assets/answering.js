// @ts-check
import { Answering } from "./answering/answering.js";
import { Questioner } from "./answering/questioner.js";
import { Delivery } from "./protocol/delivery.js";
import { openLog } from "./protocol/identity.js";
import { appBase, Routes } from "./protocol/routes.js";

/** @typedef {import("./answering/answering.js").Survey} Survey */
/** @typedef {import("./answering/answering.js").Stored} Stored */
/** @typedef {{name: string, survey: Survey, questioner: Questioner | null, isGone: boolean, setState: import("./types.js").SetState}} Mount */

/** What runs in each place of the page. @type {WeakMap<object, Mount>} */
const mounts = new WeakMap();

/** Surveys answered in this tab: what is not saved yet is sent on after the page was left. @type {Map<string, Answering>} */
const surveys = new Map();

/**
 * Streamlit calls this when the component appears and again whenever its data changes; see canvas.js.
 * @param {{data: Survey, parentElement: ParentNode & object, setStateValue: import("./types.js").SetState}} component
 */
export default function draw({ data, parentElement, setStateValue }) {
  const name = `${data.key}.survey.${data.survey_id}`;
  let mount = mounts.get(parentElement);
  if (mount && mount.name !== name) {
    leave(mount);
    mount = undefined;
  }
  if (mount) Object.assign(mount, { survey: data, setState: setStateValue });
  else {
    mount = { name, survey: data, questioner: null, isGone: false, setState: setStateValue };
    mounts.set(parentElement, mount);
    enter(mount, /** @type {HTMLElement} */ (parentElement.querySelector(".fcnlab-survey")));
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
  const { name, survey } = mount;
  const log = await openLog(name, survey.batch);
  if (mount.isGone) return;
  const routes = new Routes(appBase(import.meta.url), survey.key, survey.look);
  const answering = surveys.get(name) ?? begin(mount, log, routes);
  answering.refresh(mount.survey);
  mount.questioner = new Questioner(root, answering, routes, () => mount.setState("left", Date.now()));
}

/** @param {Mount} mount @param {import("./protocol/log.js").EventLog} log @param {Routes} routes */
function begin({ name, survey }, log, routes) {
  /** @type {Delivery<Stored>} */
  const delivery = new Delivery({
    address: () => routes.answers(survey.survey_id),
    sender: () => ({ labeller: answering.survey.labeller, image: null }),
    onRefused: (words) => answering.refuse(words),
    onGone: () => answering.sender.stop(),
  });
  /** @type {Answering} */
  const answering = new Answering(survey, log, (batch) => delivery.send(batch));
  surveys.set(name, answering);
  return answering;
}

/** @param {Mount} mount */
function leave(mount) {
  mount.isGone = true;
  mount.questioner?.stop();
}
