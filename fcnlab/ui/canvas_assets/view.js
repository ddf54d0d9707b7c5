// @ts-check
/** @typedef {import("./types.js").View} View */
/** @typedef {import("./types.js").Size} Size */

/** A view maps picture coordinates to the viewport: sx = x * scale + view.x. Nothing else converts them. */

const MARGIN_PX = 12;
const LARGEST_SCALE = 64;
/** At least this much of the picture stays inside the viewport. */
const KEPT_PX = 48;

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
