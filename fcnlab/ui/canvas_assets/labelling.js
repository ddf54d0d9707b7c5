// @ts-check
import { FreshStrokes } from "./fresh.js";
import { completeness, counts, replay } from "./points.js";
import { Sender } from "./sender.js";

/** @typedef {import("./types.js").Scene} Scene */
/** @typedef {import("./types.js").ImageInfo} ImageInfo */
/** @typedef {import("./types.js").StoredPoint} StoredPoint */
/** @typedef {import("./log.js").EventLog} EventLog */

const MAP_KINDS = new Set(["add", "remove", "clear", "brush", "undo", "redo", "complete"]);

/** The image on the screen: what is stored of it, what is pending, and what the two make together. */
export class Labelling {
  /**
   * @param {EventLog} log
   * @param {(value: object) => void} send
   * @param {() => void} onChange something to show changed
   */
  constructor(log, send, onChange) {
    this.log = log;
    this.sender = new Sender(log, send);
    this.onChange = onChange;
    /** The image the labeller sees: events carry its number. @type {ImageInfo | null} */
    this.image = null;
    /** @type {readonly StoredPoint[]} */
    this.stored = [];
    /** @type {Scene | null} */
    this.scene = null;
    /** Number and time of the newest event that asks for another mask of this image. */
    this.newest = { seq: 0, at: 0 };
    this.fresh = new FreshStrokes();
  }

  /**
   * News from the server. The image shown stays until `show` is called.
   * @param {Scene} scene
   * @returns {number} how many events were stored
   */
  receive(scene) {
    this.scene = scene;
    const { image, log } = this;
    if (image && scene.image?.id === image.id) {
      this.image = scene.image;
      this.stored = scene.points;
    } else if (image) {
      // The points of the image still on the screen are no longer sent: keep what is stored now.
      const last = scene.acknowledged && scene.acknowledged.client_id === log.clientId ? scene.acknowledged.seq : 0;
      const known = log.pending.filter((event) => event.seq <= last);
      const after = replay(this.stored, known, image.id, image.state, (seq) => log.uid(seq));
      this.stored = after.points;
      this.image = { ...image, state: after.state, is_complete: completeness(image.is_complete, known, image.id) };
    }
    const gone = log.acknowledge(scene.acknowledged);
    this.sender.answered(gone);
    return gone;
  }

  /** The picture of the scene's image is on the screen now. */
  show() {
    this.image = this.scene?.image ?? null;
    this.stored = this.scene?.points ?? [];
    this.newest = { seq: 0, at: 0 };
    this.fresh.forget();
    for (const event of this.log.pending) if (event.image_id === this.image?.id) this.fresh.note(event);
  }

  /** What the image looks like with everything pending. */
  now() {
    const { image, log } = this;
    if (!image) return { points: /** @type {readonly StoredPoint[]} */ ([]), state: /** @type {const} */ ("new"), isComplete: false };
    const shown = replay(this.stored, log.pending, image.id, image.state, (seq) => log.uid(seq));
    return { ...shown, isComplete: completeness(image.is_complete, log.pending, image.id) };
  }

  /** Strokes on the image: the stored ones, and those that are pending; one that is pending undone counts still. */
  strokes() {
    const stored = this.image && this.scene?.image?.id === this.image.id ? this.scene.n_strokes : 0;
    const pending = this.log.pending.filter((event) => event.kind === "brush" && event.image_id === this.image?.id);
    return stored + pending.length;
  }

  /** Points per class over the project. */
  counts() {
    return counts(this.scene?.classes ?? [], this.stored, this.now().points, this.log.pending, this.image?.id ?? -1);
  }

  /** Whether an overlay that covers event `covers` knows all that was done here. @param {number} covers */
  isCovered(covers) {
    const { seq, at } = this.newest;
    // An undo with nothing to take back makes no new mask: do not wait for it for ever.
    const settled = this.log.pending.length === 0 && Date.now() - at > 3000;
    return covers >= seq || settled;
  }

  /** @param {import("./types.js").EventKind} kind @param {Record<string, any>} [payload] */
  record(kind, payload = {}) {
    if (!this.image) return;
    const event = this.log.append(kind, this.image.id, payload);
    if (MAP_KINDS.has(kind)) this.newest = { seq: event.seq, at: Date.now() };
    this.fresh.note(event);
    this.sender.grew();
    this.onChange();
  }

  stop() {
    this.sender.stop();
  }
}
