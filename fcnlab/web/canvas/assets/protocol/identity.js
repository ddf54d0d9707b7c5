// @ts-check
import { EventLog } from "./log.js";

/** A copied tab waits this long for a name that the first tab never gives back. */
const CLAIM_MS = 800;

/** One log per project and tab, however often the workspace is mounted. @type {Map<string, Promise<EventLog>>} */
const opened = new Map();

/** @returns {string} */
export function newClientId() {
  const bytes = crypto.getRandomValues(new Uint8Array(12));
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/**
 * Hold `name` for the life of this page. A duplicated tab copies sessionStorage, the client id included; the lock
 * tells the copy from a reload, whose predecessor is gone.
 * @param {string} name
 * @param {{locks?: Pick<LockManager, "request">, BroadcastChannel?: typeof BroadcastChannel}} environment
 * @param {number} [waitMs]
 * @returns {Promise<boolean>} whether nobody else holds it
 */
export function claim(name, environment, waitMs = CLAIM_MS) {
  const { locks } = environment;
  if (!locks) return claimByChannel(name, environment.BroadcastChannel, waitMs / 4);
  return new Promise((resolve) => {
    const patience = new AbortController();
    const timer = setTimeout(() => patience.abort(), waitMs);
    const hold = () => {
      clearTimeout(timer);
      resolve(true);
      return new Promise(() => {});
    };
    locks.request(name, { signal: patience.signal }, hold).catch(() => resolve(false));
  });
}

/**
 * Pages that are not served over https or from localhost have no locks: ask around instead.
 * @param {string} name
 * @param {typeof BroadcastChannel | undefined} Channel
 * @param {number} waitMs
 * @returns {Promise<boolean>}
 */
function claimByChannel(name, Channel, waitMs) {
  if (!Channel) return Promise.resolve(true);
  const channel = new Channel(name);
  return new Promise((resolve) => {
    let settled = false;
    const timer = setTimeout(() => {
      settled = true;
      resolve(true);
    }, waitMs);
    channel.onmessage = (message) => {
      if (settled && message.data === "who") channel.postMessage("me");
      if (!settled && message.data === "me") {
        clearTimeout(timer);
        channel.close();
        resolve(false);
      }
    };
    channel.postMessage("who");
  });
}

/** What survives a reload of this tab, if the browser allows it. @returns {Storage | null} */
export function tabStorage() {
  try {
    return window.sessionStorage;
  } catch {
    return null; // forbidden by the browser's settings: memory has to do
  }
}

/**
 * The log of this tab for one project, under a name that no other tab uses.
 * @param {string} projectKey
 * @param {number} maxBatch the server takes so many events at a time
 * @returns {Promise<EventLog>}
 */
export function openLog(projectKey, maxBatch) {
  let log = opened.get(projectKey);
  if (!log) {
    log = open(projectKey, maxBatch);
    opened.set(projectKey, log);
  }
  return log;
}

/** @param {string} projectKey @param {number} maxBatch */
async function open(projectKey, maxBatch) {
  const log = new EventLog(tabStorage(), `fcnlab.log.${projectKey}`, newClientId, maxBatch);
  const environment = { locks: navigator.locks, BroadcastChannel: window.BroadcastChannel };
  while (!(await claim(`fcnlab.client.${log.clientId}`, environment))) log.startOver();
  return log;
}
