// @ts-check
import { shownAt } from "../state/view.js";

/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */
/** @typedef {import("../types.js").StoredPoint} StoredPoint */

const RING_PX = 22;
/** A smaller circle would hide in its own outline. */
const SMALLEST_CIRCLE_PX = 2.5;
/** From the pixel to an arm of the crosshair, and how long that is. */
const ARM_GAP_PX = 7;
const ARM_PX = 15;
/** From this scale on the asked pixel itself is outlined. */
const OUTLINED_FROM_SCALE = 3;

/** Give a canvas one pixel per screen pixel, and clear it. @param {HTMLCanvasElement} canvas @param {Size} size */
export function sized(canvas, size) {
  const ratio = window.devicePixelRatio || 1;
  const width = Math.round(size.width * ratio);
  const height = Math.round(size.height * ratio);
  const context = /** @type {CanvasRenderingContext2D} */ (canvas.getContext("2d"));
  if (canvas.width !== width || canvas.height !== height) {
    canvas.width = width;
    canvas.height = height;
  } else {
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
  }
  return context;
}

/**
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {View} view
 * @param {Size} size of the viewport
 * @param {readonly StoredPoint[]} points
 * @param {Map<number, string>} colours by class id
 * @param {string | null} marked the point that stands out
 */
export function drawDots(context, view, size, points, colours, marked) {
  for (const [uid, row, col, classId] of points) {
    const { sx, sy } = shownAt(view, row, col);
    if (sx < -20 || sy < -20 || sx > size.width + 20 || sy > size.height + 20) continue;
    if (uid === marked) disc(context, sx, sy, 11, "rgba(255, 255, 255, 0.35)");
    disc(context, sx, sy, uid === marked ? 7.5 : 6, "rgba(0, 0, 0, 0.85)");
    disc(context, sx, sy, uid === marked ? 6.5 : 5, "#ffffff");
    disc(context, sx, sy, uid === marked ? 4.75 : 3.5, colours.get(classId) ?? "#888888");
  }
}

/**
 * A ring round a pixel, seen on any background: white between black. Its middle stays free; ticks point at it.
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {View} view
 * @param {{row: number, col: number}} pixel
 */
export function drawRing(context, view, { row, col }) {
  const { sx, sy } = shownAt(view, row, col);
  const side = view.scale;
  const radius = Math.max(RING_PX, side * 1.4);
  const path = new Path2D();
  path.arc(sx, sy, radius, 0, 2 * Math.PI);
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(sx + dx * radius, sy + dy * radius);
    path.lineTo(sx + dx * radius * 0.6, sy + dy * radius * 0.6);
  }
  stroke(context, path, 3);
  if (side < OUTLINED_FROM_SCALE) return;
  const square = new Path2D();
  square.rect(sx - side / 2, sy - side / 2, side, side);
  stroke(context, square, 1.25);
}

/**
 * The cursor that keys move: four arms whose ends point at the pixel, which stays free.
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {View} view
 * @param {{row: number, col: number}} pixel
 */
export function drawCrosshair(context, view, { row, col }) {
  const { sx, sy } = shownAt(view, row, col);
  const near = Math.max(ARM_GAP_PX, view.scale / 2 + 3);
  const path = new Path2D();
  for (const [dx, dy] of [[1, 0], [-1, 0], [0, 1], [0, -1]]) {
    path.moveTo(sx + dx * near, sy + dy * near);
    path.lineTo(sx + dx * (near + ARM_PX), sy + dy * (near + ARM_PX));
  }
  stroke(context, path, 2);
  const square = new Path2D();
  const side = Math.max(2, view.scale);
  square.rect(sx - side / 2, sy - side / 2, side, side);
  stroke(context, square, view.scale < OUTLINED_FROM_SCALE ? 1 : 1.25);
}

/** Where a brush would paint. @param {CanvasRenderingContext2D} context @param {{sx: number, sy: number}} at @param {number} radius */
export function drawCircle(context, { sx, sy }, radius) {
  const path = new Path2D();
  path.arc(sx, sy, Math.max(SMALLEST_CIRCLE_PX, radius), 0, 2 * Math.PI);
  for (const [colour, width] of /** @type {const} */ ([["rgba(0, 0, 0, 0.75)", 3], ["#ffffff", 1.25]])) {
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke(path);
  }
}

/** @param {CanvasRenderingContext2D} context @param {Path2D} path @param {number} thick of the white line */
function stroke(context, path, thick) {
  context.lineCap = "round";
  context.strokeStyle = "rgba(0, 0, 0, 0.8)";
  context.lineWidth = thick + 2.5;
  context.stroke(path);
  context.strokeStyle = "#ffffff";
  context.lineWidth = thick;
  context.stroke(path);
}

/** @param {CanvasRenderingContext2D} context @param {number} sx @param {number} sy @param {number} radius @param {string} colour */
function disc(context, sx, sy, radius, colour) {
  context.beginPath();
  context.arc(sx, sy, radius, 0, 2 * Math.PI);
  context.fillStyle = colour;
  context.fill();
}
