// @ts-check
/** @typedef {import("../types.js").Size} Size */
/** @typedef {import("../types.js").Overlay} Overlay */
/** @typedef {import("../types.js").Stroke} Stroke */
/** @typedef {{top: number, left: number, height: number, width: number, inside: Uint8Array}} Patch pixels of a box, row by row */

/** A larger box would fill the memory of the tab. */
const MOST_PIXELS = 2 ** 27;
/** A thinner brush would fall between the middles of pixels: it goes from middle to middle. */
const SNAPS_BELOW = 2;

/**
 * The pixels whose middle a round brush passed over.
 * @param {readonly {x: number, y: number}[]} path in pixels of the picture, 0.5 is the middle of the first one
 * @param {number} diameter of the brush, in pixels of the picture
 * @param {Size} picture
 * @returns {Patch | "too large" | null} null when the brush passed over nothing
 */
export function swept(path, diameter, picture) {
  const radius = diameter / 2;
  const middle = (/** @type {number} */ at) => (diameter < SNAPS_BELOW ? Math.floor(at) + 0.5 : at);
  const way = path.map(({ x, y }) => ({ x: middle(x), y: middle(y) }));
  const xs = way.map((at) => at.x);
  const ys = way.map((at) => at.y);
  const left = Math.max(0, Math.ceil(smallest(xs) - radius - 0.5));
  const top = Math.max(0, Math.ceil(smallest(ys) - radius - 0.5));
  const width = Math.min(picture.width - 1, Math.floor(largest(xs) + radius - 0.5)) - left + 1;
  const height = Math.min(picture.height - 1, Math.floor(largest(ys) + radius - 0.5)) - top + 1;
  if (!(width > 0 && height > 0)) return null;
  if (width * height > MOST_PIXELS) return "too large";
  const inside = new Uint8Array(width * height);
  way.forEach((end, k) => {
    const start = way[Math.max(0, k - 1)];
    const first = Math.max(0, Math.ceil(Math.min(start.y, end.y) - radius - 0.5) - top);
    const last = Math.min(height - 1, Math.floor(Math.max(start.y, end.y) + radius - 0.5) - top);
    for (let row = first; row <= last; row += 1) {
      const [low, high] = span(start, end, radius, row + top + 0.5);
      const from = Math.max(0, Math.ceil(low - 0.5) - left);
      const to = Math.min(width - 1, Math.floor(high - 0.5) - left);
      if (from <= to) inside.fill(1, row * width + from, row * width + to + 1);
    }
  });
  return inside.includes(1) ? { top, left, height, width, inside } : null;
}

/**
 * The stroke that a round brush painted; see `swept`.
 * @param {readonly {x: number, y: number}[]} path
 * @param {number} diameter
 * @param {Size} picture
 * @param {number | null} classId null for the eraser
 * @param {{runs: number}} constants the server refuses strokes of more runs
 * @returns {Stroke | "too large" | null} null when nothing was painted
 */
export function strokeOf(path, diameter, picture, classId, { runs: maxRuns }) {
  const patch = swept(path, diameter, picture);
  if (patch === null || patch === "too large") return patch;
  const { inside, ...box } = patch;
  const runs = runsOf(inside);
  return runs.length > maxRuns ? "too large" : { class_id: classId, ...box, runs };
}

/** @param {readonly number[]} numbers */
const smallest = (numbers) => numbers.reduce((a, b) => Math.min(a, b), Infinity);
/** @param {readonly number[]} numbers */
const largest = (numbers) => numbers.reduce((a, b) => Math.max(a, b), -Infinity);

/**
 * Where a horizontal line meets everything within `radius` of a straight way: from here to there.
 * @param {{x: number, y: number}} a
 * @param {{x: number, y: number}} b
 * @param {number} radius
 * @param {number} y
 * @returns {[number, number]} the first is the larger one when it meets nothing
 */
function span(a, b, radius, y) {
  let low = Infinity;
  let high = -Infinity;
  const reach = (/** @type {number} */ x) => {
    low = Math.min(low, x);
    high = Math.max(high, x);
  };
  for (const end of [a, b]) {
    const rest = radius * radius - (y - end.y) ** 2;
    if (rest < 0) continue;
    reach(end.x - Math.sqrt(rest));
    reach(end.x + Math.sqrt(rest));
  }
  const length = Math.hypot(b.x - a.x, b.y - a.y);
  if (length === 0) return [low, high];
  const aside = { x: (-(b.y - a.y) / length) * radius, y: ((b.x - a.x) / length) * radius };
  const corners = [
    { x: a.x + aside.x, y: a.y + aside.y },
    { x: b.x + aside.x, y: b.y + aside.y },
    { x: b.x - aside.x, y: b.y - aside.y },
    { x: a.x - aside.x, y: a.y - aside.y },
  ];
  corners.forEach((corner, k) => {
    const next = corners[(k + 1) % 4];
    if (corner.y === next.y || (corner.y - y) * (next.y - y) > 0) return;
    reach(corner.x + ((next.x - corner.x) * (y - corner.y)) / (next.y - corner.y));
  });
  return [low, high];
}

/**
 * Lengths of the pixels outside and inside by turns, outside first.
 * @param {Uint8Array} inside
 * @returns {number[]}
 */
export function runsOf(inside) {
  const runs = [];
  let began = 0;
  let now = 0;
  for (let at = 0; at <= inside.length; at += 1) {
    if (at < inside.length && inside[at] === now) continue;
    runs.push(at - began);
    began = at;
    now = 1 - now;
  }
  return runs;
}

/** The pixels of a stroke again. @param {Stroke} stroke @returns {Patch} */
export function patchOf({ top, left, height, width, runs }) {
  const inside = new Uint8Array(height * width);
  let at = 0;
  runs.forEach((length, k) => {
    if (k % 2 === 1) inside.fill(1, at, at + length);
    at += length;
  });
  return { top, left, height, width, inside };
}

/**
 * An overlay with strokes over it that the server has not laid there yet: to the pixel what it will send. Where the
 * eraser went nothing is shown, for what is predicted there only the server knows.
 * @param {Overlay} overlay of classes
 * @param {Size} picture
 * @param {readonly Stroke[]} strokes oldest first
 * @param {number} ignore value of a pixel about which nothing is said
 * @returns {Overlay}
 */
export function paintedOver(overlay, picture, strokes, ignore) {
  if (strokes.length === 0) return overlay;
  const { width, height } = overlay;
  const values = overlay.values.slice();
  const cols = middles(width, picture.width);
  const rows = middles(height, picture.height);
  for (const stroke of strokes) {
    const { top, left, inside, ...box } = patchOf(stroke);
    for (let y = 0; y < height; y += 1) {
      const row = rows[y] - top;
      if (row < 0 || row >= box.height) continue;
      for (let x = 0; x < width; x += 1) {
        const col = cols[x] - left;
        if (col < 0 || col >= box.width || !inside[row * box.width + col]) continue;
        values[y * width + x] = stroke.class_id ?? ignore;
      }
    }
  }
  return { ...overlay, values };
}

/**
 * For each cell of a map the pixel of the picture in its middle.
 * @param {number} cells
 * @param {number} pixels
 */
export function middles(cells, pixels) {
  return Int32Array.from({ length: cells }, (_, at) => Math.min(pixels - 1, Math.floor((at + 0.5) * (pixels / cells))));
}

/**
 * An overlay of nothing, to be painted on while there is no mask yet.
 * @param {number} imageId
 * @param {Size} picture
 * @param {{mask_side: number, ignore: number}} constants its longer side at most; value of a pixel about which nothing is said
 * @returns {Overlay}
 */
export function blank(imageId, picture, { mask_side: side, ignore }) {
  const scale = Math.min(1, side / Math.max(picture.width, picture.height));
  const width = Math.max(1, Math.round(picture.width * scale));
  const height = Math.max(1, Math.round(picture.height * scale));
  const values = new Uint8Array(width * height).fill(ignore);
  return { imageId, mode: "mask", classId: 0, number: 0, covers: 0, width, height, values, base: 0, patch: { top: 0, left: 0, height, width } };
}
