// @ts-check
import { Delivery } from "./protocol/delivery.js";
import { tabStorage } from "./protocol/identity.js";
import { mounting } from "./protocol/mounting.js";
import { appBase, Routes } from "./protocol/routes.js";
import { Tagger } from "./tagging/tagger.js";
import { Tagging } from "./tagging/tagging.js";

/** @typedef {import("./tagging/tagging.js").Given} Given */
/** @typedef {import("./tagging/tagging.js").Stored} Stored */
/** @typedef {import("./protocol/mounting.js").Mount<Given, Tagger>} Mount */

/** Projects tagged in this tab: what is not saved yet is sent on after the page was left. @type {Map<string, Tagging>} */
const projects = new Map();

export default mounting({
  root: ".fcnlab-tags",
  nameOf: (/** @type {Given} */ given) => `${given.key}.tags`,
  batchOf: (given) => given.batch,
  begin: (root, /** @type {Mount} */ mount, log) => {
    const { data, name } = mount;
    const routes = new Routes(appBase(import.meta.url), data.key, data.look);
    const tagging = projects.get(name) ?? begin(mount, log, routes);
    tagging.refresh(data);
    return new Tagger(root, tagging, routes, (imageId) => remember(name, imageId, mount.data.start));
  },
  update: (tagger, { data }) => tagger.refresh(data),
});

/** @param {Mount} mount @param {import("./protocol/log.js").EventLog} log @param {Routes} routes */
function begin({ name, data }, log, routes) {
  /** @type {Delivery<Stored>} */
  const delivery = new Delivery({
    address: () => routes.tags,
    sender: () => ({ labeller: tagging.given.labeller, image: null }),
    onRefused: (words) => tagging.refuse(words),
    onGone: () => tagging.sender.stop(),
  });
  /** @type {Tagging} */
  const tagging = new Tagging(data, log, (batch) => delivery.send(batch), remembered(name, data.start));
  projects.set(name, tagging);
  return tagging;
}

/** A reload shows the image that was shown, unless the address names another one. @param {string} name @param {number | null} start */
function remembered(name, start) {
  const saved = /^(\d+) (\w+)$/.exec(tabStorage()?.getItem(`fcnlab.shown.${name}`) ?? "");
  return saved && saved[2] === String(start) ? Number(saved[1]) : null;
}

/** @param {string} name @param {number} imageId @param {number | null} start */
function remember(name, imageId, start) {
  try {
    tabStorage()?.setItem(`fcnlab.shown.${name}`, `${imageId} ${start}`);
  } catch {
    // full: a reload begins with the image most in doubt
  }
}
