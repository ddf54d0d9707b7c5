// @ts-check
/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../types.js").Mode} Mode */

/** Modes in which images can be shown while they are worked on. @type {readonly Mode[]} */
export const OF_ALL = ["mask", "probability", "uncertainty"];

/** Whether the values of such an overlay are class ids. @param {Mode} mode */
export function isClassMap(mode) {
  return mode === "mask" || mode === "imported" || mode === "prediction";
}

/** What the server is asked for by the long poll while pictures are shown in a mode. @param {Mode} mode @returns {Mode} */
export function followedMode(mode) {
  return mode === "probability" || mode === "uncertainty" ? mode : "mask";
}

/**
 * The modes that an image offers. The mask that a done one keeps has no probabilities.
 * @param {ImageInfo | null} image @param {import("../types.js").ImageState} state with what is pending
 * @returns {readonly Mode[]}
 */
export function offeredModes(image, state) {
  const isKept = state === "done" && image?.keeps_mask;
  /** @type {readonly Mode[]} */
  const modes = isKept ? ["mask", "prediction"] : OF_ALL;
  if (image?.has_imported) return [...modes, "imported", "difference"];
  return isKept ? [...modes, "difference"] : modes;
}

/**
 * Which mask has to be fetched: the one shown, or the one that the difference is to; null for none.
 * @param {Mode} mode @param {ImageInfo | null} image
 * @returns {"imported" | "prediction" | null}
 */
export function referenceOf(mode, image) {
  if (mode === "imported" || mode === "prediction") return mode;
  if (mode !== "difference") return null;
  return image?.has_imported ? "imported" : "prediction";
}
