// @ts-check
import { Answering } from "./answering/answering.js";
import { Questioner } from "./answering/questioner.js";
import { Delivery } from "./protocol/delivery.js";
import { mounting } from "./protocol/mounting.js";
import { appBase, Routes } from "./protocol/routes.js";

/** @typedef {import("./answering/answering.js").Survey} Survey */
/** @typedef {import("./answering/answering.js").Stored} Stored */
/** @typedef {import("./protocol/mounting.js").Mount<Survey, Questioner>} Mount */

/** Surveys answered in this tab: what is not saved yet is sent on after the page was left. @type {Map<string, Answering>} */
const surveys = new Map();

export default mounting({
  root: ".fcnlab-survey",
  nameOf: (/** @type {Survey} */ survey) => `${survey.key}.survey.${survey.survey_id}`,
  batchOf: (survey) => survey.batch,
  begin: (root, /** @type {Mount} */ mount, log) => {
    const routes = new Routes(appBase(import.meta.url), mount.data.key, mount.data.look);
    const answering = surveys.get(mount.name) ?? begin(mount, log, routes);
    answering.refresh(mount.data);
    return new Questioner(root, answering, routes, () => mount.setState("left", Date.now()));
  },
});

/** @param {Mount} mount @param {import("./protocol/log.js").EventLog} log @param {Routes} routes */
function begin({ name, data }, log, routes) {
  /** @type {Delivery<Stored>} */
  const delivery = new Delivery({
    address: () => routes.answers(data.survey_id),
    sender: () => ({ labeller: answering.survey.labeller, image: null }),
    onRefused: (words) => answering.refuse(words),
    onGone: () => answering.sender.stop(),
  });
  /** @type {Answering} */
  const answering = new Answering(data, log, (batch) => delivery.send(batch));
  surveys.set(name, answering);
  return answering;
}
