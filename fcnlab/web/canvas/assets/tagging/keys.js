// @ts-check
import { PAUSE_MS } from "../tools/keys.js";

/** Classes that have a key: the tenth is 0, of others `g` and the number. */
const DIGITS = "1234567890";

/**
 * @typedef {{type: "cycle" | "no", place: number}
 *   | {type: "accept" | "doubtful" | "next" | "previous" | "undo" | "redo"}} Action
 * @typedef {{key: string, code?: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, shiftKey?: boolean}} Stroke
 */

/** @type {Record<string, Exclude<Action["type"], "cycle" | "no">>} */
const PLAIN = {
  " ": "accept",
  a: "accept",
  Enter: "doubtful",
  n: "next",
  ArrowRight: "next",
  p: "previous",
  ArrowLeft: "previous",
};

/** What is written on the key of a class. @param {number} place */
export function keyOf(place) {
  return DIGITS[place] ?? `g ${place + 1}`;
}

/** The digit of a key, whatever the layout writes on it with Shift; null: it has none. @param {Stroke} stroke */
function digitOf({ key, code = "" }) {
  const digit = /^Digit(\d)$/.exec(code)?.[1] ?? key;
  return /^\d$/.test(digit) ? digit : null;
}

/** Key strokes to actions. Remembers only the class number being typed. */
export class KeyReader {
  /** @param {(action: Action) => void} act */
  constructor(act) {
    this.act = act;
    /** @type {string | null} digits after `g`, null while none are awaited */
    this.digits = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** @param {Stroke} stroke @returns {boolean} whether the key meant something */
  read(stroke) {
    const { key, ctrlKey, metaKey, altKey, shiftKey } = stroke;
    const name = key.length === 1 ? key.toLowerCase() : key;
    if (altKey) return false;
    if (ctrlKey || metaKey) {
      if (name !== "z" && name !== "y") return false;
      this.act({ type: name === "y" || shiftKey ? "redo" : "undo" });
      return true;
    }
    const digit = digitOf(stroke);
    if (this.digits !== null && key !== "Shift") {
      if (digit !== null) {
        this.#wait(this.digits + digit);
        if (this.digits.length === 2) this.#choose();
        return true;
      }
      this.#choose();
    }
    if (name === "g") {
      this.#wait("");
      return true;
    }
    if (digit !== null) this.act({ type: shiftKey ? "no" : "cycle", place: DIGITS.indexOf(digit) });
    else if (name === "z") this.act({ type: shiftKey ? "redo" : "undo" });
    else if (PLAIN[name]) this.act({ type: PLAIN[name] });
    else return false;
    return true;
  }

  /** The number being typed ends here; after `g` alone one is still awaited. */
  finish() {
    if (this.digits) this.#choose();
  }

  /** The number being typed is dropped. */
  stop() {
    clearTimeout(this.timer);
    this.digits = null;
  }

  /** @param {string} digits */
  #wait(digits) {
    clearTimeout(this.timer);
    this.digits = digits;
    this.timer = setTimeout(() => this.#choose(), PAUSE_MS);
  }

  #choose() {
    const { digits } = this;
    clearTimeout(this.timer);
    this.digits = null;
    if (digits) this.act({ type: "cycle", place: Number(digits) - 1 });
  }
}
