// @ts-check
import { shownAt } from "./view.js";

/** @typedef {import("./types.js").StoredPoint} StoredPoint */
/** @typedef {import("./types.js").LabelEvent} LabelEvent */
/** @typedef {import("./types.js").ImageState} ImageState */
/** @typedef {import("./types.js").View} View */

/** A right click reaches this far. */
export const REACH_PX = 12;

/**
 * What the image looks like once the pending events are stored, as far as this side can know.
 *
 * Undo is shown at once when it takes back a pending event; older events are the server's to take back.
 * @param {readonly StoredPoint[]} stored
 * @param {readonly LabelEvent[]} pending
 * @param {number} imageId
 * @param {ImageState} state
 * @param {(seq: number) => string} uid
 * @returns {{points: readonly StoredPoint[], state: ImageState}}
 */
export function replay(stored, pending, imageId, state, uid) {
  let points = stored;
  /** @type {(readonly StoredPoint[])[]} */
  let undoable = [];
  /** @type {(readonly StoredPoint[])[]} */
  let redoable = [];
  /** @param {readonly StoredPoint[]} next */
  const change = (next) => {
    undoable.push(points);
    redoable = [];
    points = next;
  };
  for (const event of pending) {
    if (event.image_id !== imageId) continue;
    const { kind, payload } = event;
    if (kind === "add") {
      change([...points, [uid(event.seq), payload.row, payload.col, payload.class_id]]);
    } else if (kind === "remove") {
      change(points.filter((point) => point[0] !== payload.uid));
    } else if (kind === "clear") {
      change([]);
    } else if (kind === "undo") {
      const before = undoable.pop();
      if (before) {
        redoable.push(points);
        points = before;
      } else {
        redoable = [];
      }
    } else if (kind === "redo") {
      const after = redoable.pop();
      if (after) {
        undoable.push(points);
        points = after;
      } else {
        undoable = [];
      }
    } else if (kind === "state") {
      state = payload.state;
    }
  }
  return { points, state };
}

/**
 * Whether all objects of the image are marked, once the pending events are stored.
 * @param {boolean} stored
 * @param {readonly LabelEvent[]} pending
 * @param {number} imageId
 */
export function completeness(stored, pending, imageId) {
  const last = pending.findLast((event) => event.kind === "complete" && event.image_id === imageId);
  return last ? last.payload.complete === true : stored;
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
    if (event.kind === "add" && event.image_id !== imageId) more(event.payload.class_id, 1);
  }
  return total;
}

/**
 * The point a right click at (sx, sy) removes: the nearest one on the screen, the newest of several.
 * @param {readonly StoredPoint[]} points
 * @param {View} view
 * @param {number} sx
 * @param {number} sy
 * @returns {StoredPoint | null}
 */
export function nearest(points, view, sx, sy) {
  let best = null;
  let bestDistance = REACH_PX;
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
