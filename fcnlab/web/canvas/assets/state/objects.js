// @ts-check
import { shownAt } from "./view.js";

/** @typedef {import("../types.js").Found} Found */
/** @typedef {import("../types.js").StoredPoint} StoredPoint */
/** @typedef {import("../types.js").View} View */
/** @typedef {{row: number, col: number}} Pixel */
/** @typedef {{classId: number, marked: number, count: number, low: number | null, high: number | null, isExact: boolean}} ClassCount */
/** @typedef {"open" | "marked" | "rejected"} Standing what people said of an object; open: nobody said anything */

/** An object is meant from this far, or from a third of the usual distance between objects. */
const REACH_PX = 16;
/** Two objects this near, in image pixels, are the same one counted anew. */
const SAME_AT_LEAST = 1.5;
const SAME_AT_MOST = 20;

/**
 * The objects as the server sends them; what is none is left out.
 * @param {unknown} raw [[row, col, class id, number, score, is marked], ...]
 * @returns {Found[]}
 */
export function readObjects(raw) {
  if (!Array.isArray(raw)) return [];
  const isObject = (/** @type {unknown} */ one) => Array.isArray(one) && one.length > 3 && one.slice(0, 4).every(Number.isFinite);
  return raw.filter(isObject).map(([row, col, classId, number, score, isMarked]) => ({
    row,
    col,
    classId,
    number,
    score: Number.isFinite(score) ? score : 0,
    isMarked: Boolean(isMarked),
  }));
}

/** @param {unknown} raw @returns {Map<number, ClassCount>} by class id */
export function readCounts(raw) {
  /** @type {Map<number, ClassCount>} */
  const counts = new Map();
  for (const one of Array.isArray(raw) ? raw : []) {
    const { class_id: classId, marked, count, low = null, high = null, is_exact: isExact } = one ?? {};
    if (Number.isInteger(classId) && Number.isFinite(count)) {
      counts.set(classId, { classId, marked: marked ?? 0, count, low, high, isExact: Boolean(isExact) });
    }
  }
  return counts;
}

/** The pixel at the centre of an object. @param {Pixel} object @param {import("../types.js").Size} image @returns {Pixel} */
export function pixelOf({ row, col }, { width, height }) {
  const inside = (/** @type {number} */ value, /** @type {number} */ n) => Math.min(n - 1, Math.max(0, Math.round(value)));
  return { row: inside(row, height), col: inside(col, width) };
}

/** The class of each labelled pixel, by "row,col": of several points there the last counts. @param {readonly StoredPoint[]} points @returns {Map<string, number>} */
export function classByPixel(points) {
  return new Map(points.map((point) => [`${point[1]},${point[2]}`, point[3]]));
}

/**
 * What people said of each object, with what is pending: a point on its centre is an answer.
 * @param {readonly Found[]} objects
 * @param {readonly StoredPoint[]} points
 * @param {number} backgroundId
 * @param {import("../types.js").Size} image
 * @returns {Standing[]}
 */
export function standing(objects, points, backgroundId, image) {
  const said = classByPixel(points);
  return objects.map((object) => {
    const { row, col } = pixelOf(object, image);
    const classId = said.get(`${row},${col}`);
    if (classId === undefined) return object.isMarked ? "marked" : "open";
    return classId === backgroundId ? "rejected" : "marked";
  });
}

/**
 * Usual distance to the nearest other object, in image pixels; Infinity of fewer than two.
 * @param {readonly Pixel[]} objects
 */
export function spacing(objects) {
  const sorted = [...objects].sort((one, other) => one.row - other.row);
  const distances = sorted.map((one, at) => {
    let best = Infinity;
    for (const step of [-1, 1]) {
      for (let k = at + step; sorted[k] && Math.abs(sorted[k].row - one.row) < best; k += step) {
        best = Math.min(best, apart(one, sorted[k]));
      }
    }
    return best;
  });
  distances.sort((one, other) => one - other);
  return distances.length < 2 ? Infinity : distances[Math.floor(distances.length / 2)];
}

/**
 * The object that somebody at (sx, sy) means.
 * @param {readonly Found[]} objects those to choose from
 * @param {View} view
 * @param {number} sx
 * @param {number} sy
 * @param {number} usual their `spacing`
 * @returns {Found | null}
 */
export function meant(objects, view, sx, sy, usual) {
  let best = null;
  let bestPx = Math.max(REACH_PX, Number.isFinite(usual) ? (usual * view.scale) / 3 : 0);
  for (const object of objects) {
    const at = shownAt(view, object.row, object.col);
    const distance = Math.hypot(at.sx - sx, at.sy - sy);
    if (distance <= bestPx) {
      best = object;
      bestPx = distance;
    }
  }
  return best;
}

/**
 * The object to look at next: the one the counter is least sure of.
 * @param {readonly Found[]} open
 * @param {readonly Pixel[]} passed centres of those that were looked at before
 * @param {number} usual their `spacing`
 * @returns {Found | null}
 */
export function leastSure(open, passed, usual) {
  const near = Math.min(SAME_AT_MOST, Math.max(SAME_AT_LEAST, usual / 3));
  const left = open.filter((object) => !passed.some((one) => apart(one, object) <= near));
  return left.reduce((/** @type {Found | null} */ best, one) => (best === null || one.score < best.score ? one : best), null);
}

/** @param {Pixel} one @param {Pixel} other */
function apart(one, other) {
  return Math.hypot(one.row - other.row, one.col - other.col);
}
