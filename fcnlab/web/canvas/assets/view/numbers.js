// @ts-check
import { shownAt } from "../state/view.js";

/** @typedef {import("../types.js").Found} Found */
/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */

const FONT_PX = 12;
const DIGIT_PX = 7;
const MARGIN_PX = 5;
/** Where the number stands beside the dot of a marked object. */
const BESIDE_PX = 11;
const AIM_PX = 15;

/**
 * Whether numbers have room at this zoom: the usual object must be further from the next than its number is wide.
 * @param {number} usual distance between objects, in image pixels
 * @param {number} scale
 * @param {number} n of objects
 */
export function fits(usual, scale, n) {
  return usual * scale >= String(n).length * DIGIT_PX + MARGIN_PX;
}

/**
 * The numbers of objects; small dots in their place where there is no room. What was rejected has none.
 * @param {CanvasRenderingContext2D} context in CSS pixels
 * @param {View} view
 * @param {Size} size of the viewport
 * @param {readonly Found[]} objects
 * @param {readonly import("../state/objects.js").Standing[]} said one per object
 * @param {{colours: Map<number, string>, isRoomy: boolean}} looks
 */
export function drawObjects(context, view, size, objects, said, { colours, isRoomy }) {
  context.font = `600 ${FONT_PX}px system-ui, sans-serif`;
  context.textAlign = "center";
  context.textBaseline = "middle";
  context.lineJoin = "round";
  objects.forEach((object, k) => {
    if (said[k] === "rejected") return;
    const { sx, sy } = shownAt(view, object.row, object.col);
    if (sx < -20 || sy < -20 || sx > size.width + 20 || sy > size.height + 20) return;
    if (isRoomy) write(context, String(object.number), sx, said[k] === "marked" ? sy - BESIDE_PX : sy);
    else if (said[k] === "open") dot(context, sx, sy, colours.get(object.classId) ?? "#888888");
  });
}

/** A thin ring round the object that a key would accept or reject. @param {CanvasRenderingContext2D} context @param {View} view @param {Found} object */
export function drawAim(context, view, object) {
  const { sx, sy } = shownAt(view, object.row, object.col);
  for (const [colour, width] of /** @type {const} */ ([["rgba(0, 0, 0, 0.8)", 4], ["#ffffff", 2]])) {
    context.beginPath();
    context.arc(sx, sy, AIM_PX, 0, 2 * Math.PI);
    context.strokeStyle = colour;
    context.lineWidth = width;
    context.stroke();
  }
}

/** White on black edges: read on any picture. @param {CanvasRenderingContext2D} context @param {string} text @param {number} sx @param {number} sy */
function write(context, text, sx, sy) {
  context.strokeStyle = "rgba(0, 0, 0, 0.85)";
  context.lineWidth = 3.5;
  context.strokeText(text, sx, sy);
  context.fillStyle = "#ffffff";
  context.fillText(text, sx, sy);
}

/** @param {CanvasRenderingContext2D} context @param {number} sx @param {number} sy @param {string} colour */
function dot(context, sx, sy, colour) {
  context.beginPath();
  context.arc(sx, sy, 2.5, 0, 2 * Math.PI);
  context.strokeStyle = "rgba(0, 0, 0, 0.85)";
  context.lineWidth = 1.5;
  context.stroke();
  context.fillStyle = colour;
  context.fill();
}
