// @ts-check
/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */

/** A view maps picture coordinates to the viewport: sx = x * scale + view.x. Nothing else converts them. */

const MARGIN_PX = 12;
const LARGEST_SCALE = 64;
/** At least this much of the picture stays inside the viewport. */
const KEPT_PX = 48;
/** Round an asked pixel so many pixels of the picture are shown, across the shorter side of the viewport... */
const AROUND_PX = 120;
/** ...or this part of the picture's longer side, if that is more. */
const AROUND_PART = 1 / 8;
const NEAREST_SCALE = 8;
/** A ring at the edge of the picture is seen whole. */
const EDGE_PX = 40;

/**
 * The whole picture, centred; small ones are enlarged at most eightfold.
 * @param {Size} picture
 * @param {Size} viewport
 * @returns {View}
 */
export function fitted(picture, viewport) {
  const room = { width: viewport.width - 2 * MARGIN_PX, height: viewport.height - 2 * MARGIN_PX };
  const fit = Math.min(room.width / picture.width, room.height / picture.height, 8);
  const scale = Math.max(fit, 1e-3);
  return {
    scale,
    x: (viewport.width - picture.width * scale) / 2,
    y: (viewport.height - picture.height * scale) / 2,
  };
}

/**
 * @param {View} view
 * @param {number} factor
 * @param {number} sx the point under the cursor stays where it is
 * @param {number} sy
 * @param {number} smallestScale
 * @returns {View}
 */
export function zoomed(view, factor, sx, sy, smallestScale) {
  const scale = Math.min(LARGEST_SCALE, Math.max(smallestScale, view.scale * factor));
  const ratio = scale / view.scale;
  return { scale, x: sx - (sx - view.x) * ratio, y: sy - (sy - view.y) * ratio };
}

/**
 * @param {View} view
 * @param {Size} picture
 * @param {Size} viewport
 * @returns {View} the same, moved back until some of the picture can be seen
 */
export function kept(view, picture, viewport) {
  const width = picture.width * view.scale;
  const height = picture.height * view.scale;
  return {
    scale: view.scale,
    x: between(view.x, Math.min(KEPT_PX, width) - width, viewport.width - Math.min(KEPT_PX, width)),
    y: between(view.y, Math.min(KEPT_PX, height) - height, viewport.height - Math.min(KEPT_PX, height)),
  };
}

/** @param {number} value @param {number} low @param {number} high */
function between(value, low, high) {
  return Math.min(Math.max(value, low), high);
}

/**
 * The pixel under a place of the viewport, or null outside the picture.
 * @param {View} view
 * @param {Size} picture
 * @param {number} sx
 * @param {number} sy
 * @returns {{row: number, col: number} | null}
 */
export function pixelAt(view, picture, sx, sy) {
  const col = Math.floor((sx - view.x) / view.scale);
  const row = Math.floor((sy - view.y) / view.scale);
  const inside = row >= 0 && col >= 0 && row < picture.height && col < picture.width;
  return inside ? { row, col } : null;
}

/**
 * Where the middle of a pixel is shown.
 * @param {View} view
 * @param {number} row
 * @param {number} col
 * @returns {{sx: number, sy: number}}
 */
export function shownAt(view, row, col) {
  return { sx: (col + 0.5) * view.scale + view.x, sy: (row + 0.5) * view.scale + view.y };
}

/**
 * The CSS transform that makes something drawn for view `drawn` look as drawn for view `now`.
 * @param {View} drawn
 * @param {View} now
 * @returns {View}
 */
export function moved(drawn, now) {
  const scale = now.scale / drawn.scale;
  return { scale, x: now.x - drawn.x * scale, y: now.y - drawn.y * scale };
}

/**
 * A pixel enlarged until what is round it can be told apart, but never smaller than the whole picture would be; in the
 * middle, unless the picture ends near it.
 * @param {Size} picture
 * @param {Size} viewport
 * @param {number} row
 * @param {number} col
 * @returns {View}
 */
export function around(picture, viewport, row, col) {
  const span = Math.max(AROUND_PX, Math.max(picture.width, picture.height) * AROUND_PART);
  const near = Math.min(viewport.width, viewport.height) / span;
  const scale = Math.max(fitted(picture, viewport).scale, Math.min(near, NEAREST_SCALE));
  const start = (/** @type {number} */ at, /** @type {number} */ length, /** @type {number} */ side) => {
    const rest = side - length * scale;
    const wanted = side / 2 - (at + 0.5) * scale;
    return rest > 0 ? rest / 2 : between(wanted, rest - EDGE_PX, EDGE_PX);
  };
  return { scale, x: start(col, picture.width, viewport.width), y: start(row, picture.height, viewport.height) };
}

/**
 * Part of the way from one view to another: what is in the middle moves straight, the scale evenly.
 * @param {View} from
 * @param {View} to
 * @param {number} part 0 to 1
 * @param {Size} viewport
 * @returns {View}
 */
export function along(from, to, part, viewport) {
  const scale = from.scale * (to.scale / from.scale) ** part;
  const mid = (/** @type {number} */ a, /** @type {number} */ b, /** @type {number} */ side) => {
    const start = (side / 2 - a) / from.scale;
    const end = (side / 2 - b) / to.scale;
    return side / 2 - (start + (end - start) * part) * scale;
  };
  return { scale, x: mid(from.x, to.x, viewport.width), y: mid(from.y, to.y, viewport.height) };
}

/** The view as a CSS transform. @param {View} view */
export function matrix(view) {
  return `matrix(${view.scale}, 0, 0, ${view.scale}, ${view.x}, ${view.y})`;
}
