// @ts-check
import { shownAt } from "./view.js";

/** @typedef {import("../types.js").StoredPoint} StoredPoint */
/** @typedef {import("../types.js").LabelEvent} LabelEvent */
/** @typedef {import("../types.js").ImageState} ImageState */
/** @typedef {import("../types.js").View} View */

/** A right click reaches this far. */
export const REACH_PX = 12;

/**
 * What is known of the image besides its points and state.
 * @typedef {object} Facts
 * @property {boolean} isComplete all its objects are marked
 * @property {boolean} keepsMask it is done, and the mask it keeps is made
 * @property {import("../types.js").Reversible} reversible
 */

/** @type {Facts} */
const NO_FACTS = { isComplete: false, keepsMask: false, reversible: { undo: 0, redo: 0, redo_reopens: false } };

/**
 * What the image looks like once the pending events are stored, as far as this side can know.
 *
 * Undo is shown at once when it takes back a pending event; older events are the server's to take back.
 * @param {readonly StoredPoint[]} stored
 * @param {readonly LabelEvent[]} pending
 * @param {number} imageId
 * @param {ImageState} state
 * @param {(seq: number) => string} uid
 * @param {Facts} [facts]
 */
export function replay(stored, pending, imageId, state, uid, facts = NO_FACTS) {
  let now = { points: stored, state, isComplete: facts.isComplete, keepsMask: facts.keepsMask };
  const reach = { ...facts.reversible };
  /** What each step that undo or redo can reach here gives back. @type {Partial<typeof now>[]} */
  let undoable = [];
  /** @type {Partial<typeof now>[]} */
  let redoable = [];
  /** @param {Partial<typeof now>} next @returns {Partial<typeof now>} what was before */
  const turn = (next) => {
    const before = Object.fromEntries(Object.keys(next).map((name) => [name, now[/** @type {keyof typeof now} */ (name)]]));
    now = { ...now, ...next };
    return before;
  };
  /** @param {Partial<typeof now>} next */
  const change = (next) => {
    undoable.push(turn(next));
    redoable = [];
    Object.assign(reach, { undo: reach.undo + 1, redo: 0, redo_reopens: false });
  };
  for (const event of pending) {
    if (event.image_id !== imageId) continue;
    const { kind, payload } = event;
    if (kind === "add") {
      if (now.state === "new") now.state = "in_progress"; // for good: undo takes back the point alone
      change({ points: [...now.points, [uid(event.seq), payload.row, payload.col, payload.class_id]] });
    } else if (kind === "accept") {
      const added = payload.points.map((/** @type {number[]} */ [row, col, classId], /** @type {number} */ k) => [`${uid(event.seq)}.${k + 1}`, row, col, classId]);
      change({ points: [...now.points, ...added], isComplete: payload.complete || now.isComplete });
    } else if (kind === "remove") {
      change({ points: now.points.filter((point) => point[0] !== payload.uid) });
    } else if (kind === "clear") {
      change({ points: [] });
    } else if (kind === "brush" || kind === "take") {
      change({});
      if (payload.done === true) now = { ...now, state: "done" };
    } else if (kind === "undo" && reach.undo > 0) {
      const before = undoable.pop();
      if (before) redoable.push(turn(before));
      else redoable = [];
      Object.assign(reach, { undo: reach.undo - 1, redo: reach.redo + 1, redo_reopens: before?.state === "done" });
    } else if (kind === "redo" && reach.redo > 0) {
      const after = redoable.pop();
      if (after) undoable.push(turn(after));
      else undoable = [];
      Object.assign(reach, { undo: reach.undo + 1, redo: reach.redo - 1, redo_reopens: false });
    } else if (kind === "state" && reopens(now, payload.state)) {
      change({ state: payload.state, keepsMask: false });
    } else if (kind === "state") {
      now = { ...now, state: payload.state };
    } else if (kind === "complete") {
      now = { ...now, isComplete: payload.complete === true };
    }
  }
  return { ...now, reversible: reach };
}

/**
 * Whether a new state takes an image the mask it keeps, which undo brings back.
 * @param {{state: ImageState, keepsMask: boolean}} image @param {ImageState} state
 */
export function reopens({ state: before, keepsMask }, state) {
  return before === "done" && state !== "done" && keepsMask;
}

/**
 * Whether undo or redo would change anything, by what is stored and pending.
 * @param {import("./labelling.js").LabelledImage} labelled @param {"undo" | "redo"} kind
 */
export function canReverse({ image, state, reversible }, kind) {
  if (!image) return false;
  if (kind === "undo") return state !== "done" && reversible.undo > 0;
  return state === "done" ? reversible.redo_reopens : reversible.redo > 0;
}

/**
 * Points per class over the project: the stored numbers, and what is pending.
 * @param {readonly {id: number, n_points: number}[]} classes
 * @param {readonly StoredPoint[]} stored of the image shown
 * @param {readonly StoredPoint[]} shown the same, replayed
 * @param {readonly LabelEvent[]} pending
 * @param {number} imageId
 * @returns {Map<number, number>}
 */
export function counts(classes, stored, shown, pending, imageId) {
  const total = new Map(classes.map((label) => [label.id, label.n_points]));
  /** @param {number} classId @param {number} n */
  const more = (classId, n) => total.set(classId, Math.max(0, (total.get(classId) ?? 0) + n));
  for (const point of stored) more(point[3], -1);
  for (const point of shown) more(point[3], 1);
  for (const event of pending) {
    if (event.image_id === imageId) continue;
    if (event.kind === "add") more(event.payload.class_id, 1);
    if (event.kind === "accept") for (const point of event.payload.points) more(point[2], 1);
  }
  return total;
}

/**
 * The point a right click at (sx, sy) removes: the nearest one on the screen, the newest of several.
 * @param {readonly StoredPoint[]} points
 * @param {View} view
 * @param {number} sx
 * @param {number} sy
 * @param {number} [reachPx]
 * @returns {StoredPoint | null}
 */
export function nearest(points, view, sx, sy, reachPx = REACH_PX) {
  let best = null;
  let bestDistance = reachPx;
  for (const point of points) {
    const at = shownAt(view, point[1], point[2]);
    const distance = Math.hypot(at.sx - sx, at.sy - sy);
    if (distance <= bestDistance) {
      best = point;
      bestDistance = distance;
    }
  }
  return best;
}
