// @ts-check
/** @typedef {import("../types.js").Overlay} Overlay */

/** Where two masks differ, in a difference; 0 where they agree or one of them knows nothing. */
export const DIFFERS = 255;

/**
 * Where two class maps of an image differ.
 * @param {Overlay} shown @param {Overlay} reference of the same image
 * @param {number} ignore a pixel about which a map says nothing
 * @returns {Overlay & {share: number}} share of the pixels that both know which differ, 0 to 1
 */
export function difference(shown, reference, ignore) {
  const { width, height } = reference;
  const values = new Uint8Array(width * height);
  let [nDiffering, nKnown] = [0, 0];
  for (let row = 0, at = 0; row < height; row += 1) {
    const start = Math.min(shown.height - 1, Math.floor(((row + 0.5) * shown.height) / height)) * shown.width;
    for (let col = 0; col < width; col += 1, at += 1) {
      const here = shown.values[start + Math.min(shown.width - 1, Math.floor(((col + 0.5) * shown.width) / width))];
      const there = reference.values[at];
      if (here === ignore || there === ignore) continue;
      nKnown += 1;
      if (here === there) continue;
      nDiffering += 1;
      values[at] = DIFFERS;
    }
  }
  const patch = { top: 0, left: 0, height, width };
  return { ...shown, mode: "difference", width, height, values, base: -1, patch, share: nKnown ? nDiffering / nKnown : 0 };
}
