// @ts-check
/** Streamlit has `c` and `r` for itself; `u` and `z` mean something here. */
const LETTERS = "abdefghijklmnopqstvwxy";
const KEYS = [..."123456789", ...LETTERS];

/** @typedef {{type: "class", place: number} | {type: "unknown" | "back" | "previous" | "next" | "nearer" | "further"}} Action */

/** @type {Record<string, Exclude<Action["type"], "class">>} */
const OTHERS = {
  u: "unknown",
  0: "unknown",
  z: "back",
  Backspace: "back",
  ArrowLeft: "previous",
  ArrowRight: "next",
  "+": "nearer",
  "=": "nearer",
  "-": "further",
};

/** The key that answers with a class; empty where there are more classes than keys. @param {number} place */
export function keyOf(place) {
  return KEYS[place] ?? "";
}

/** What a key means. @param {{key: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean}} press @returns {Action | null} */
export function actionOf({ key, ctrlKey, metaKey, altKey }) {
  if (ctrlKey || metaKey || altKey) return null;
  const name = key.length === 1 ? key.toLowerCase() : key;
  if (OTHERS[name]) return { type: OTHERS[name] };
  const place = KEYS.indexOf(name);
  return place < 0 ? null : { type: "class", place };
}
