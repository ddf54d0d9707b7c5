// @ts-check
import { load, save } from "./state/settings.js";

const KEY = "fcnlab.labeller";
const FOCUS_MS = 2000;
const LOOK_MS = 50;

/** The name typed in this tab that was remembered already: another tab may have changed its mind since. @type {string | null} */
let saved = null;

/**
 * @typedef {object} Wish
 * @property {string | null} name who labels in this tab, as far as the server knows
 * @property {boolean} typed somebody said so in this tab: it is remembered once, whatever was before
 * @property {boolean} focuses put the focus into the first field of the dialog around
 */

/**
 * What this browser remembers of who labels. A name of the address alone is remembered only where there is none yet:
 * an address may be somebody else's.
 * @param {{data: Wish, parentElement: ParentNode & object, setStateValue: (name: string, value: unknown) => void}} component
 */
export default function draw({ data, parentElement, setStateValue }) {
  if (data.focuses) focusFirst(parentElement);
  else if (data.name === null) setStateValue("remembered", remembered());
  else if (data.typed ? data.name !== saved : !remembered()) save(KEY, (saved = data.name));
}

/** @returns {string} empty where none is remembered */
function remembered() {
  const name = load(KEY);
  return typeof name === "string" ? name.trim() : "";
}

/**
 * Dialogs take the focus themselves while they open, so this goes on until the field has it or somebody did something.
 * @param {ParentNode & object} place
 */
function focusFirst(place) {
  const host = place instanceof ShadowRoot ? place.host : /** @type {any} */ (place);
  const until = Date.now() + FOCUS_MS;
  const acted = new AbortController();
  for (const kind of ["keydown", "pointerdown"]) document.addEventListener(kind, () => acted.abort(), { capture: true, signal: acted.signal });
  const look = setInterval(() => {
    const field = /** @type {HTMLElement | null} */ (host.closest('[role="dialog"]')?.querySelector("input, textarea"));
    if (acted.signal.aborted || Date.now() > until) {
      clearInterval(look);
      acted.abort();
    } else if (field && document.activeElement !== field) field.focus();
  }, LOOK_MS);
}
