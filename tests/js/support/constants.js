// @ts-check
/** What a server says once for both sides. @type {import("../../../fcnlab/web/canvas/assets/types.js").Constants} */
export const CONSTANTS = {
  batch: 5000,
  undoable: ["accept", "add", "brush", "clear", "remove", "scribble", "take"],
  runs: 100_000,
  ignore: 255,
  mask_side: 1536,
  classes: 255,
  name_chars: 80,
  queries: 10,
  avoided: 400,
  poll_s: 25,
};
