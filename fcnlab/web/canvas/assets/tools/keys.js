// @ts-check
/** How long a class number typed after `g` may pause. */
export const PAUSE_MS = 800;

/**
 * @typedef {{type: "class", number: number} | {type: "typing", digits: string | null}
 *   | {type: "fit" | "nearer" | "further" | "cursor" | "overlay" | "contour" | "heat" | "undo" | "redo" | "next" | "previous" | "done" | "swap"
 *      | "fainter" | "stronger" | "help" | "escape" | "ask" | "skip" | "unsure" | "more" | "brush" | "eraser"
 *      | "accept" | "reject" | "complete"}} Action
 * @typedef {{key: string, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, shiftKey?: boolean}} Stroke
 */

/** @type {readonly (readonly [string, string])[]} */
const CLASSES = [
  ["1 … 9", "choose a class"],
  ["g, then a number", "choose a class above 9"],
  ["x", "swap the two last classes"],
  ["z / Shift+z", "undo / redo (also Ctrl+z, Ctrl+y)"],
];

/** @type {readonly (readonly [string, string])[]} */
const VIEW = [
  ["n / p or → / ←", "next / previous image"],
  ["Wheel, pinch, + / -", "zoom at the cursor"],
  ["Drag, Space+drag", "move the image"],
  ["f or 0", "fit the image"],
  ["v", "hide or show the overlay"],
  ["[ / ]", "overlay fainter / stronger"],
  ["o", "filled areas or outlines"],
  ["h", "classes, probability, uncertainty, grade"],
  ["?", "this list"],
];

/** @type {readonly (readonly [string, string])[]} */
const CURSOR = [
  ["Tab, k", "a cursor for who uses no mouse"],
  ["← ↑ → ↓", "move that cursor (Shift: far)"],
  ["Space", "click at that cursor"],
  ["Delete", "remove the point nearest to it"],
  ["Esc", "put that cursor away"],
];

/** What the help shows: keys and meaning, in the order in which they are learned. */
export const HELP = [
  ["Left click", "add a point of the current class"],
  ["Right click, long press", "remove the nearest point"],
  ...CLASSES,
  ["Enter", "mark the image done, go to the next"],
  ["q", "suggest pixels, which you answer"],
  ["s / u", "suggested pixel: skip / unsure"],
  ["m", "suggest more pixels"],
  ["b / e", "brush / eraser: drag to paint"],
  ["[ / ], Shift+wheel", "while painting: size of the brush"],
  ...VIEW,
  ...CURSOR,
];

/** The same in a project that counts. */
export const COUNTING_HELP = [
  ["Left click", "mark an object of the current class"],
  ["Right click, long press", "remove the nearest point"],
  ["a / d", "accept / reject the one at the cursor"],
  ["q", "review: walk through open objects"],
  ["s", "in the review: skip"],
  ["t", "all objects are marked, or not"],
  ["Enter", "all are marked, go to the next image"],
  ...CLASSES,
  ...VIEW,
  ...CURSOR,
];

/** @type {Record<string, Action["type"]>} */
const PLAIN = {
  f: "fit",
  0: "fit",
  "+": "nearer",
  "=": "nearer",
  "-": "further",
  k: "cursor",
  v: "overlay",
  o: "contour",
  h: "heat",
  n: "next",
  p: "previous",
  ArrowRight: "next",
  ArrowLeft: "previous",
  Enter: "done",
  x: "swap",
  q: "ask",
  s: "skip",
  u: "unsure",
  m: "more",
  b: "brush",
  e: "eraser",
  a: "accept",
  d: "reject",
  t: "complete",
  "[": "fainter",
  "]": "stronger",
  "?": "help",
  Escape: "escape",
};

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
    if (stroke.ctrlKey || stroke.metaKey) return this.#command(stroke);
    if (stroke.altKey) return false;
    if (this.digits !== null) return this.#number(stroke);
    const { key } = stroke;
    if (key === "g") {
      this.#await("");
      return true;
    }
    if (/^[1-9]$/.test(key)) return this.#do({ type: "class", number: Number(key) });
    if (key === "z" || key === "Z") return this.#do({ type: stroke.shiftKey ? "redo" : "undo" });
    const type = PLAIN[key] ?? PLAIN[key.toLowerCase()];
    return type ? this.#do(/** @type {Action} */ ({ type })) : false;
  }

  stop() {
    clearTimeout(this.timer);
  }

  /** @param {Action} action */
  #do(action) {
    this.act(action);
    return true;
  }

  /** @param {Stroke} stroke */
  #command(stroke) {
    const key = stroke.key.toLowerCase();
    if (stroke.altKey) return false;
    if (key === "z") return this.#do({ type: stroke.shiftKey ? "redo" : "undo" });
    if (key === "y" && !stroke.shiftKey) return this.#do({ type: "redo" });
    return false;
  }

  /** @param {Stroke} stroke */
  #number({ key }) {
    if (/^\d$/.test(key)) this.#await(this.digits + key);
    else if (key === "Enter") this.#finish();
    else if (key === "Backspace") this.#await(String(this.digits).slice(0, -1));
    else if (key !== "Shift") this.#cancel();
    return true;
  }

  /** @param {string} digits */
  #await(digits) {
    this.digits = digits;
    this.act({ type: "typing", digits });
    clearTimeout(this.timer);
    const pause = digits === "" ? 3 * PAUSE_MS : PAUSE_MS;
    this.timer = setTimeout(() => this.#finish(), pause);
  }

  #finish() {
    const digits = this.digits;
    this.#cancel();
    if (digits) this.act({ type: "class", number: Number(digits) });
  }

  #cancel() {
    clearTimeout(this.timer);
    this.digits = null;
    this.act({ type: "typing", digits: null });
  }
}

/**
 * Whether a key belongs to the element that has the focus and not to the workspace.
 * @param {{tagName?: string, isContentEditable?: boolean, type?: string, getAttribute?: (name: string) => string | null}} element innermost, through shadow roots
 * @param {string} key
 */
export function belongsTo(element, key) {
  const tag = element.tagName?.toLowerCase() ?? "";
  const role = element.getAttribute?.("role") ?? "";
  if (element.isContentEditable || tag === "textarea" || tag === "select" || role === "textbox") return true;
  if (tag === "input") return element.type !== "range" || /^(Arrow|Page|Home|End)/.test(key);
  const steers = /^(tab|slider|radio|option|listbox|combobox|menuitem|gridcell)$/.test(role);
  if (steers) return /^(Arrow|Enter$| $)/.test(key);
  if (tag === "button" || tag === "a" || tag === "summary") return key === "Enter" || key === " ";
  return false;
}
