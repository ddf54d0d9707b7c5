// @ts-check
import { isHeat } from "../state/modes.js";

/** @typedef {import("../types.js").View} View */
/** @typedef {import("../types.js").Size} Size */

/** Ten equal steps of viridis and inferno (van der Walt and Smith 2015): lightness rises evenly. */
const VIRIDIS = "440154 482878 3e4989 31688e 26828e 1f9e89 35b779 6ece58 b5de2b fde725";
const INFERNO = "000004 1b0c41 4a0c6b 781c6d a52c60 cf4446 ed6925 fb9b06 f7d13d fcffa4";

/** Canvas pixels are read as 32-bit numbers, red first in memory. */
const LITTLE_ENDIAN = new Uint8Array(new Uint32Array([1]).buffer)[0] === 1;

/** @param {number} r @param {number} g @param {number} b @param {number} a */
export function packed(r, g, b, a) {
  const value = LITTLE_ENDIAN ? (a << 24) | (b << 16) | (g << 8) | r : (r << 24) | (g << 16) | (b << 8) | a;
  return value >>> 0;
}

/** @param {string} colour "#rrggbb" or "rrggbb" @returns {[number, number, number]} */
export function rgb(colour) {
  const value = Number.parseInt(colour.replace("#", ""), 16);
  return [(value >> 16) & 255, (value >> 8) & 255, value & 255];
}

/**
 * The id of the class that is no object, -1 where every class is a thing of its own.
 * @param {readonly {id: number, is_background: boolean}[]} classes
 */
export function backgroundOf(classes) {
  return classes.find((label) => label.is_background)?.id ?? -1;
}

/**
 * Class id -> canvas pixel. Unknown ids, and the background unless wanted, are transparent.
 * @param {readonly {id: number, colour: string, is_background: boolean}[]} classes
 * @param {{background: boolean}} options
 * @returns {Uint32Array}
 */
export function classTable(classes, { background }) {
  const table = new Uint32Array(256);
  for (const label of classes) {
    if (!label.is_background || background) table[label.id] = packed(...rgb(label.colour), 255);
  }
  return table;
}

/** @typedef {"probability" | "uncertainty" | "grade"} Heat */

/** Value 0..255 -> canvas pixel; what has no grade is transparent. @param {Heat} mode @returns {Uint32Array} */
export function heatTable(mode) {
  const stops = (mode === "uncertainty" ? INFERNO : VIRIDIS).split(" ").map(rgb);
  const table = new Uint32Array(256);
  for (let value = 0; value < 256; value += 1) {
    const place = (value / 255) * (stops.length - 1);
    const low = Math.min(Math.floor(place), stops.length - 2);
    const part = place - low;
    const [r, g, b] = stops[low].map((channel, k) => Math.round(channel + (stops[low + 1][k] - channel) * part));
    table[value] = packed(r, g, b, 255);
  }
  if (mode === "grade") table[0] = 0;
  return table;
}

/** Where masks differ: a colour that neither pictures nor the palette of classes have. */
export const DIFFERENCE_COLOUR = "#ff00d4";

/** Value 0..255 of an overlay that is no class map -> canvas pixel. @param {import("../types.js").Mode} mode @returns {Uint32Array} */
export function valueTable(mode) {
  if (isHeat(mode)) return heatTable(mode);
  const table = new Uint32Array(256);
  table[255] = packed(...rgb(DIFFERENCE_COLOUR), 255);
  return table;
}

/** The same ramp for CSS. @param {Heat} mode */
export function heatGradient(mode) {
  const stops = (mode === "uncertainty" ? INFERNO : VIRIDIS).split(" ");
  return `linear-gradient(90deg, ${stops.map((stop) => `#${stop}`).join(", ")})`;
}

/**
 * @param {{values: Uint8Array, width: number}} map
 * @param {import("../types.js").Box} box of it
 * @param {Uint32Array} table
 * @param {Uint32Array} target one canvas pixel per value of the box
 */
export function colour({ values, width }, box, table, target) {
  let to = 0;
  for (let row = box.top; row < box.top + box.height; row += 1) {
    const start = row * width + box.left;
    for (let at = start; at < start + box.width; at += 1, to += 1) target[to] = table[values[at]];
  }
}

/**
 * The value of the map under a pixel of the picture.
 * @param {{values: Uint8Array, width: number, height: number}} map may be smaller than the picture
 * @param {Size} picture
 * @param {number} row
 * @param {number} col
 */
export function valueAt(map, picture, row, col) {
  const r = Math.min(map.height - 1, Math.floor(((row + 0.5) * map.height) / picture.height));
  const c = Math.min(map.width - 1, Math.floor(((col + 0.5) * map.width) / picture.width));
  return map.values[r * map.width + c];
}

/**
 * For each of `count` screen pixels the index of the map's row (or column) below it, or -1 outside.
 * @param {number} count
 * @param {number} offset where the picture begins, in screen pixels
 * @param {number} length of the picture, in screen pixels
 * @param {number} cells of the map
 */
export function cellsBelow(count, offset, length, cells) {
  const result = new Int32Array(count);
  for (let at = 0; at < count; at += 1) {
    const cell = Math.floor(((at + 0.5 - offset) / length) * cells);
    result[at] = cell < 0 || cell >= cells ? -1 : cell;
  }
  return result;
}

/**
 * Draw the borders between classes at the resolution of the screen, so that they are as wide at every zoom.
 * A border takes the colour of the class that is not transparent and gets a dark edge.
 * @param {{values: Uint8Array, width: number, height: number}} map
 * @param {Int32Array} rows from `cellsBelow`
 * @param {Int32Array} cols
 * @param {Uint32Array} table
 * @param {number} backgroundId
 * @param {number} thick of the line, in screen pixels
 * @param {Uint32Array} target (rows.length, cols.length) canvas pixels, all zero
 */
export function drawBorders(map, rows, cols, table, backgroundId, thick, target) {
  const { values, width } = map;
  const edge = packed(0, 0, 0, 150);
  const nRows = rows.length;
  const nCols = cols.length;
  for (let y = 0; y < nRows; y += 1) {
    if (rows[y] < 0) continue;
    const here = rows[y] * width;
    const below = neighbour(rows, y, thick) * width;
    const beyond = neighbour(rows, y, thick + 1) * width;
    for (let x = 0; x < nCols; x += 1) {
      const col = cols[x];
      if (col < 0) continue;
      const own = values[here + col];
      const right = values[here + neighbour(cols, x, thick)];
      const down = values[below + col];
      if (own !== right || own !== down) {
        const other = own !== right ? right : down;
        target[y * nCols + x] = table[own === backgroundId ? other : own];
      } else if (own !== values[here + neighbour(cols, x, thick + 1)] || own !== values[beyond + col]) {
        target[y * nCols + x] = edge;
      }
    }
  }
}

/** The cell `step` screen pixels on, or the last one of the picture. @param {Int32Array} cells @param {number} at @param {number} step */
function neighbour(cells, at, step) {
  const next = at + step < cells.length ? cells[at + step] : -1;
  return next < 0 ? cells[at] : next;
}
