// @ts-check
/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../types.js").Mode} Mode */

/** Modes in which images can be shown while they are worked on. @type {readonly Mode[]} */
export const OF_ALL = ["mask", "probability", "uncertainty"];

/** And those that an image of grades offers too. @type {readonly Mode[]} */
export const OF_GRADES = [...OF_ALL, "grade"];

/** Whether the values of such an overlay lie on a ramp of colours. @param {Mode} mode @returns {mode is "probability" | "uncertainty" | "grade"} */
export function isHeat(mode) {
  return mode === "probability" || mode === "uncertainty" || mode === "grade";
}

/** Whether the values of such an overlay are class ids. @param {Mode} mode */
export function isClassMap(mode) {
  return mode === "mask" || mode === "imported" || mode === "prediction";
}

/** What the server is asked for by the long poll while pictures are shown in a mode. @param {Mode} mode @returns {Mode} */
export function followedMode(mode) {
  return isHeat(mode) ? mode : "mask";
}

/**
 * The modes that an image offers. The mask that a done one keeps has no probabilities.
 * @param {ImageInfo | null} image @param {import("../types.js").ImageState} state with what is pending
 * @param {boolean} [hasGrades] whether classes of the project are grades
 * @returns {readonly Mode[]}
 */
export function offeredModes(image, state, hasGrades = false) {
  const isKept = state === "done" && image?.keeps_mask;
  /** @type {readonly Mode[]} */
  const modes = isKept ? ["mask", "prediction"] : hasGrades ? OF_GRADES : OF_ALL;
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
