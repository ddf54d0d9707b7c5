// @ts-check
/** @typedef {import("../types.js").LabelEvent} LabelEvent */
/** @typedef {import("../types.js").EventKind} EventKind */

/** Strokes can be long: a batch ends when it has so many characters. */
const BATCH_CHARS = 200_000;

/**
 * What happened in this tab and is not stored yet, numbered from 1, kept where a reload finds it.
 *
 * An event leaves the log only when the server says that it is stored, so sending twice is harmless and
 * sending late loses nothing.
 */
export class EventLog {
  /**
   * @param {Pick<Storage, "getItem" | "setItem"> | null} storage kept across reloads of one tab
   * @param {string} key name in the storage
   * @param {() => string} makeId a new client id
   * @param {number} maxBatch the server takes so many events at a time; the rest follows after the next acknowledgement
   */
  constructor(storage, key, makeId, maxBatch) {
    this.maxBatch = maxBatch;
    this.storage = storage;
    this.key = key;
    this.makeId = makeId;
    /** True while a reload of the tab would find every event again. */
    this.persistent = true;
    const saved = this.#read();
    this.clientId = saved ? saved.client_id : makeId();
    this.lastSeq = saved ? saved.last : 0;
    /** @type {LabelEvent[]} */
    this.pending = saved ? saved.log : [];
    this.#write();
  }

  /**
   * @param {EventKind} kind
   * @param {number} imageId the image shown when it happened
   * @param {Record<string, any>} payload
   * @returns {LabelEvent}
   */
  append(kind, imageId, payload = {}) {
    this.lastSeq += 1;
    const event = { seq: this.lastSeq, kind, image_id: imageId, payload };
    this.pending = [...this.pending, event];
    this.#write();
    return event;
  }

  /** Name of the point that event number `seq` of this tab adds. @param {number} seq */
  uid(seq) {
    return `${this.clientId}:${seq}`;
  }

  /**
   * Forget what is stored. Acknowledgements of other tabs, and old ones, change nothing.
   * @param {{client_id: string, seq: number} | null} acknowledged
   * @returns {number} how many events left the log
   */
  acknowledge(acknowledged) {
    if (!acknowledged || acknowledged.client_id !== this.clientId) return 0;
    const rest = this.pending.filter((event) => event.seq > acknowledged.seq);
    const gone = this.pending.length - rest.length;
    const last = Math.max(this.lastSeq, acknowledged.seq);
    if (gone > 0 || last !== this.lastSeq) {
      this.pending = rest;
      this.lastSeq = last;
      this.#write();
    }
    return gone;
  }

  /** The value sent to the server: the oldest events, in order, as many as a slow connection carries soon. */
  batch() {
    const log = [];
    let chars = 0;
    for (const event of this.pending.slice(0, this.maxBatch)) {
      chars += JSON.stringify(event).length;
      if (log.length > 0 && chars > BATCH_CHARS) break;
      log.push(event);
    }
    return { client_id: this.clientId, log };
  }

  /** Take a new name and leave the events to the tab this one was copied from. */
  startOver() {
    this.clientId = this.makeId();
    this.lastSeq = 0;
    this.pending = [];
    this.#write();
  }

  #read() {
    try {
      const saved = JSON.parse(this.storage?.getItem(this.key) ?? "null");
      const fits =
        saved && typeof saved.client_id === "string" && Number.isInteger(saved.last) && Array.isArray(saved.log);
      return fits ? saved : null;
    } catch {
      return null;
    }
  }

  #write() {
    try {
      if (!this.storage) throw new Error("no storage");
      const value = { client_id: this.clientId, last: this.lastSeq, log: this.pending };
      this.storage.setItem(this.key, JSON.stringify(value));
      this.persistent = true;
    } catch {
      this.persistent = false; // full or forbidden: the events stay in memory and are still sent
    }
  }
}
