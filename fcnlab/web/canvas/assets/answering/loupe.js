// @ts-check
import { drawRing, sized } from "../view/marks.js";
import { levelFor, PIXELS_FROM_SCALE, tilesInView } from "../view/tiles.js";

/** @typedef {import("./answering.js").AskedImage} AskedImage */
/** @typedef {import("./answering.js").AskedPoint} AskedPoint */
/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */
/** @typedef {{whole: string, tiles: {url: string, level: number, x: number, y: number}[]}} Sources addresses of what a part is drawn from */

/** A part of the shorter side of an image, and pixels at least. */
const FIELD_PART = 1 / 5;
const FIELD_PX = 120;
const SMALLEST_FIELD_PX = 12;
export const ZOOMS = { first: -2, last: 4 };

/**
 * What is shown round a point: it lies in the middle.
 * @param {AskedPoint} point
 * @param {Size} size of the canvas, in CSS pixels
 * @param {number} zoom each step doubles
 * @returns {View}
 */
export function viewAround({ image, row, col }, size, zoom) {
  const shorter = Math.min(image.width, image.height);
  const usual = Math.min(Math.max(shorter * FIELD_PART, FIELD_PX), shorter);
  const field = Math.max(SMALLEST_FIELD_PX, usual * 2 ** -zoom);
  const scale = Math.min(size.width, size.height) / field;
  return { scale, x: size.width / 2 - (col + 0.5) * scale, y: size.height / 2 - (row + 0.5) * scale };
}

/** The whole image in a canvas. @param {AskedImage} image @param {Size} size @returns {View} */
export function viewOfAll(image, size) {
  const scale = Math.min(size.width / image.width, size.height / image.height);
  return { scale, x: (size.width - image.width * scale) / 2, y: (size.height - image.height * scale) / 2 };
}

/**
 * What has to be here for a part to be drawn.
 * @param {AskedImage} image
 * @param {View} view
 * @param {Size} size
 * @param {number} ratio device pixels to a CSS pixel
 * @param {Pick<import("../protocol/routes.js").Routes, "image" | "tile">} routes
 * @returns {Sources}
 */
export function sourcesOf(image, view, size, ratio, routes) {
  const level = image.levels ? levelFor(image, view.scale * ratio) : null;
  const tiles = level === null ? [] : tilesInView(image, view, size, level);
  return { whole: routes.image(image.id), tiles: tiles.map((tile) => ({ ...tile, url: routes.tile(image.id, tile) })) };
}

/**
 * Draw a part of an image.
 * @param {HTMLCanvasElement} canvas
 * @param {AskedImage} image
 * @param {View} view
 * @param {Size} size
 * @param {Sources} sources
 * @param {(url: string) => HTMLImageElement | null} pictureOf
 * @returns {boolean} whether all of it was there to be drawn
 */
export function drawPart(canvas, image, view, size, sources, pictureOf) {
  const context = sized(canvas, size);
  const ratio = canvas.width / Math.max(1, size.width);
  context.scale(ratio, ratio);
  context.imageSmoothingEnabled = view.scale < PIXELS_FROM_SCALE;
  const whole = pictureOf(sources.whole);
  if (whole) context.drawImage(whole, view.x, view.y, image.width * view.scale, image.height * view.scale);
  let isWhole = whole !== null;
  for (const { level, url, x, y } of sources.tiles) {
    const tile = pictureOf(url);
    isWhole &&= tile !== null;
    if (!tile) continue;
    const grown = 2 ** level * view.scale;
    const side = image.tile_px * grown;
    context.drawImage(tile, view.x + x * side, view.y + y * side, tile.naturalWidth * grown, tile.naturalHeight * grown);
  }
  return isWhole;
}

/** The ring round a point; the pixel in it stays free. @param {HTMLCanvasElement} canvas @param {AskedPoint} point @param {View} view */
export function drawMark(canvas, point, view) {
  drawRing(/** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d")), view, point);
}

/**
 * The frame of what the loupe shows, on the whole image.
 * @param {HTMLCanvasElement} canvas
 * @param {View} view of the whole image
 * @param {View} part
 * @param {Size} partSize of the loupe
 */
export function drawFrame(canvas, view, part, partSize) {
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  const scale = view.scale / part.scale;
  const frame = new Path2D();
  frame.rect(view.x - part.x * scale, view.y - part.y * scale, partSize.width * scale, partSize.height * scale);
  for (const [colour, width] of /** @type {[string, number][]} */ ([["rgba(0, 0, 0, 0.75)", 3.5], ["#ffffff", 1.5]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(frame);
  }
}
