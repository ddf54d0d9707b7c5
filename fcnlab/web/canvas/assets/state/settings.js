// @ts-check
import { OF_GRADES } from "./modes.js";

/**
 * @typedef {{overlay: boolean, opacity: number, contour: boolean, mode: import("../types.js").Mode,
 *   background: boolean, brightness: number, contrast: number}} Display
 */

const KEY = "fcnlab.display";
/** In projects that count pictures are shown otherwise: at first, outlines in place of areas. */
const COUNTING_KEY = "fcnlab.display.counts";

/** @type {Display} */
export const DEFAULT_DISPLAY = Object.freeze({
  overlay: true,
  opacity: 0.5,
  contour: false,
  mode: "mask",
  background: false,
  brightness: 1,
  contrast: 1,
});

/** @type {Display} */
export const COUNTING_DISPLAY = Object.freeze({ ...DEFAULT_DISPLAY, contour: true });

/** Saved settings of the right type; anything else falls back to the default. @param {unknown} saved @param {Display} [normals] @returns {Display} */
export function displayFrom(saved, normals = DEFAULT_DISPLAY) {
  /** @type {Record<string, unknown>} */
  const known = typeof saved === "object" && saved !== null ? { ...saved } : {};
  /** @type {Record<string, unknown>} */
  const display = { ...normals };
  for (const [name, normal] of Object.entries(normals)) {
    if (typeof known[name] === typeof normal) display[name] = known[name];
  }
  const result = /** @type {Display} */ (display);
  if (!OF_GRADES.includes(result.mode)) result.mode = "mask";
  result.opacity = Math.min(1, Math.max(0, result.opacity));
  return result;
}

/** @param {string} name @returns {unknown} */
export function load(name) {
  try {
    return JSON.parse(localStorage.getItem(name) ?? "null");
  } catch {
    return null;
  }
}

/** @param {string} name @param {unknown} value */
export function save(name, value) {
  try {
    localStorage.setItem(name, JSON.stringify(value));
  } catch {
    // full or forbidden: the setting lasts as long as the page
  }
}

/** How this browser likes to see pictures. @param {boolean} counts whether the project counts */
export function loadDisplay(counts) {
  return counts ? displayFrom(load(COUNTING_KEY), COUNTING_DISPLAY) : displayFrom(load(KEY));
}

/** @param {Display} display @param {boolean} counts */
export function saveDisplay(display, counts) {
  save(counts ? COUNTING_KEY : KEY, display);
}

/**
 * What this browser remembers of a project.
 * @typedef {object} Memory
 * @property {number | null} classId the class last used
 * @property {number | null} otherId the one before
 * @property {boolean} hintClosed the first steps are known
 * @property {boolean} byGain the strip begins with the images that promise most
 * @property {number | null} brushSize diameter, in pixels of the picture
 */

/** @param {string} projectKey @returns {Memory} */
export function loadMemory(projectKey) {
  const saved = /** @type {any} */ (load(memoryName(projectKey))) ?? {};
  const whole = (/** @type {unknown} */ value) => (Number.isInteger(value) ? /** @type {number} */ (value) : null);
  return {
    classId: whole(saved.classId),
    otherId: whole(saved.otherId),
    hintClosed: saved.hintClosed === true,
    byGain: saved.byGain === true,
    brushSize: whole(saved.brushSize),
  };
}

/** @param {string} projectKey @param {Memory} memory */
export function saveMemory(projectKey, memory) {
  save(memoryName(projectKey), memory);
}

/** @param {string} projectKey */
const memoryName = (projectKey) => `fcnlab.project.${projectKey}`;

/** The asked pixels of a project that were skipped or left as unsure in this tab: they are not asked again. */
export class PassedOver {
  /** @param {Pick<Storage, "getItem" | "setItem"> | null} storage @param {string} projectKey */
  constructor(storage, projectKey) {
    this.storage = storage;
    this.name = `fcnlab.passed.${projectKey}`;
    /** @type {Record<string, number[][]>} */
    this.images = {};
    try {
      this.images = JSON.parse(storage?.getItem(this.name) ?? "null") ?? {};
    } catch {
      // damaged or forbidden: begin anew
    }
  }

  /** @param {number} imageId @returns {number[][]} rows and columns */
  of(imageId) {
    return this.images[imageId] ?? [];
  }

  /** @param {number} imageId @param {number[][]} pixels */
  keep(imageId, pixels) {
    this.images[imageId] = pixels;
    try {
      this.storage?.setItem(this.name, JSON.stringify(this.images));
    } catch {
      // full or forbidden: remembered as long as the page
    }
  }
}
