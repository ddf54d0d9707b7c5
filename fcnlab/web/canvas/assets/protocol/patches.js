// @ts-check
/** @typedef {import("../types.js").Box} Box */
/** @typedef {import("../types.js").Meta} Meta */

/**
 * The map that an answer of the server makes: the whole of it, or the one held with a box written into it. The map held
 * keeps its memory, so that whoever drew it knows that only the box has to be drawn.
 * @param {{number: number, values: Uint8Array} | null} held the overlay before, whose number was asked from
 * @param {Meta} meta
 * @param {Uint8Array} values of the box, row by row
 * @returns {{values: Uint8Array, base: number, patch: Box} | null} null when they do not fit each other: the whole is needed
 */
export function applied(held, meta, values) {
  const { width, height, base = 0, box = [0, 0, height, width] } = meta;
  const patch = { top: box[0], left: box[1], height: box[2], width: box[3] };
  if (values.length !== patch.width * patch.height) return null;
  if (!base) return values.length === width * height ? { values, base, patch } : null;
  const isInside = patch.top + patch.height <= height && patch.left + patch.width <= width;
  if (held?.number !== base || held.values.length !== width * height || !isInside) return null;
  for (let row = 0; row < patch.height; row += 1) {
    const own = values.subarray(row * patch.width, (row + 1) * patch.width);
    held.values.set(own, (patch.top + row) * width + patch.left);
  }
  return { values: held.values, base, patch };
}

/** The smallest box that holds both. @param {Box | null} one @param {Box} other @returns {Box} */
export function joined(one, other) {
  if (!one || !one.width || !one.height) return other;
  if (!other.width || !other.height) return one;
  const top = Math.min(one.top, other.top);
  const left = Math.min(one.left, other.left);
  const height = Math.max(one.top + one.height, other.top + other.height) - top;
  const width = Math.max(one.left + one.width, other.left + other.width) - left;
  return { top, left, height, width };
}
