// @ts-check
import { FreshStrokes } from "./pending_strokes.js";
import { counts, reopens, replay } from "./points.js";
import { memoized } from "./store.js";
import { Sender } from "../protocol/sender.js";
import { ClickSpans } from "../protocol/spans.js";

/** @typedef {import("../types.js").Scene} Scene */
/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../types.js").StoredPoint} StoredPoint */
/** @typedef {import("../types.js").StoredAnswer} StoredAnswer */
/** @typedef {import("../protocol/log.js").EventLog} EventLog */

/**
 * @typedef {ReturnType<typeof replay> & {image: ImageInfo | null, nStrokes: number, nPending: number}} LabelledImage
 *   the image on the screen with everything pending; nStrokes counts one that is pending undone still, nPending the
 *   events of all images
 */

/** @type {import("../types.js").Reversible} */
const NOTHING = Object.freeze({ undo: 0, redo: 0, redo_reopens: false });

/** The image on the screen: what is stored of it, what is pending, and what the two make together. */
export class Labelling {
  /**
   * @param {EventLog} log
   * @param {object} parts
   * @param {(batch: object) => Promise<StoredAnswer | null>} parts.send
   * @param {(answer: StoredAnswer) => void} parts.onAnswer
   * @param {() => void} parts.onChange something to show changed
   * @param {readonly string[]} parts.undoable kinds of events that undo takes back
   */
  constructor(log, { send, onAnswer, onChange, undoable }) {
    /** Events of these kinds ask for another mask. */
    this.mapKinds = new Set([...undoable, "undo", "redo", "complete"]);
    this.log = log;
    this.spans = new ClickSpans();
    const sent = (/** @type {object} */ batch) => {
      this.spans.reached("sent");
      return send(batch);
    };
    this.sender = new Sender(log, sent, onAnswer);
    this.onChange = onChange;
    /** The image the labeller sees: events carry its number. @type {ImageInfo | null} */
    this.image = null;
    /** @type {readonly StoredPoint[]} */
    this.stored = [];
    /** Of the stored events of the image. @type {import("../types.js").Reversible} */
    this.reversible = NOTHING;
    /** @type {Scene | null} */
    this.scene = null;
    /** Number and time of the newest event that asks for another mask of this image. */
    this.newest = { seq: 0, at: 0 };
    /** Numbers of all that did since it is shown. @type {number[]} */
    this.asked = [];
    this.fresh = new FreshStrokes(undoable);
  }

  /**
   * News from the server. The image shown stays until `show` is called.
   * @param {Scene} scene
   * @returns {number} how many events were stored
   */
  receive(scene) {
    this.scene = scene;
    const { image } = this;
    if (image && scene.image?.id === image.id) {
      this.image = scene.image;
      this.stored = scene.points;
      this.reversible = scene.reversible;
    }
    return this.acknowledged(scene.acknowledged);
  }

  /**
   * What is stored of this tab's log. The points of an image that is on the screen still, while the scene has another,
   * are no longer sent: what is stored of them now is kept.
   * @param {Scene["acknowledged"]} acknowledged
   * @returns {number} how many events were stored
   */
  acknowledged(acknowledged) {
    const { image, scene } = this;
    if (image && scene?.image?.id !== image.id) this.#keep(image, acknowledged);
    return this.#acknowledge(acknowledged);
  }

  /**
   * The server stored what this tab sent, and that is all that happened to the image shown: what was pending is stored
   * now, and the scene is what it makes of it.
   * @param {StoredAnswer} answer
   * @returns {Scene | null} null: something else came between, and the scene is asked for
   */
  storedAsShown({ acknowledged, image: imageId, base, revision }) {
    const { image, scene } = this;
    if (!image || scene?.image?.id !== image.id || image.id !== imageId || scene.revision !== base || revision === null) {
      this.sender.ask();
      return null;
    }
    const before = this.stored;
    this.#keep(image, acknowledged);
    const classes = scene.classes.map((label) => {
      const more = nOfClass(this.stored, label.id) - nOfClass(before, label.id);
      return more ? { ...label, n_points: label.n_points + more } : label;
    });
    const { stored: points, reversible } = this;
    this.scene = { ...scene, revision, image: this.image, points: [...points], classes, reversible, acknowledged, refusals: [] };
    this.#acknowledge(acknowledged);
    return this.scene;
  }

  /** What was acknowledged of the image shown is stored. @param {ImageInfo} image @param {Scene["acknowledged"]} acknowledged */
  #keep(image, acknowledged) {
    const last = acknowledged && acknowledged.client_id === this.log.clientId ? acknowledged.seq : 0;
    const known = this.log.pending.filter((event) => event.seq <= last);
    const after = this.#replayed(image, known);
    this.stored = after.points;
    this.reversible = after.reversible;
    this.image = { ...image, state: after.state, is_complete: after.isComplete, keeps_mask: after.keepsMask };
  }

  /** @param {Scene["acknowledged"]} acknowledged @returns {number} how many events were stored */
  #acknowledge(acknowledged) {
    const { log } = this;
    const gone = log.acknowledge(acknowledged);
    this.sender.answered(gone);
    if (acknowledged && acknowledged.client_id === log.clientId) this.spans.reached("acknowledged", acknowledged.seq);
    return gone;
  }

  /** The picture of the scene's image is on the screen now. */
  show() {
    this.image = this.scene?.image ?? null;
    this.stored = this.scene?.points ?? [];
    this.reversible = this.scene?.reversible ?? NOTHING;
    this.newest = { seq: 0, at: 0 };
    this.asked = [];
    this.fresh.forget();
    for (const event of this.log.pending) if (event.image_id === this.image?.id) this.fresh.note(event);
  }

  /** What the image looks like with everything pending; the same object until something of it changes. */
  now() {
    return this.#labelled(this.image, this.log.pending, this.stored, this.scene);
  }

  #labelled = memoized(
    /**
     * @param {ImageInfo | null} image @param {readonly import("../types.js").LabelEvent[]} pending
     * @param {readonly StoredPoint[]} _stored @param {Scene | null} scene
     * @returns {LabelledImage}
     */
    (image, pending, _stored, scene) => {
      const nPending = pending.length;
      if (!image) return { ...replay([], [], -1, "new", String), image, nStrokes: 0, nPending };
      const isOfScene = scene?.image?.id === image.id;
      const nStrokes = pending.filter((event) => event.kind === "brush" && event.image_id === image.id).length;
      return { ...this.#replayed(image, pending), image, nStrokes: nStrokes + (isOfScene ? scene.n_strokes : 0), nPending };
    },
  );

  /** @param {ImageInfo} image @param {readonly import("../types.js").LabelEvent[]} events */
  #replayed(image, events) {
    const facts = { isComplete: image.is_complete, keepsMask: image.keeps_mask, reversible: this.reversible };
    return replay(this.stored, events, image.id, image.state, (seq) => this.log.uid(seq), facts);
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

  /** How many events that ask for another mask an overlay that covers event `covers` does not know. @param {number} covers */
  behind(covers) {
    return this.asked.filter((seq) => seq > covers).length;
  }

  /** @param {import("../types.js").EventKind} kind @param {Record<string, any>} [payload] */
  record(kind, payload = {}) {
    if (!this.image) return;
    const isReopening = kind === "state" && reopens(this.now(), payload.state);
    const event = this.log.append(kind, this.image.id, payload);
    if (this.mapKinds.has(kind)) {
      this.newest = { seq: event.seq, at: Date.now() };
      this.asked.push(event.seq);
      this.spans.clicked(event.seq);
    }
    this.fresh.note(event, isReopening || undefined);
    this.sender.grew();
    this.onChange();
  }

  stop() {
    this.sender.stop();
  }
}

/** @param {readonly StoredPoint[]} points @param {number} classId */
function nOfClass(points, classId) {
  return points.filter((point) => point[3] === classId).length;
}
