// @ts-check
/** @typedef {import("../types.js").Meta} Meta */
/** @typedef {import("../types.js").ClassLabel} ClassLabel */
/** @typedef {"good" | "busy" | "warn" | "bad" | "quiet"} Tone */

/** An unanswered event is in doubt after this long. */
export const DOUBT_MS = 4000;

/** @param {number} n @param {string} one @param {string} [many] */
export function counted(n, one, many = `${one}s`) {
  return `${n} ${n === 1 ? one : many}`;
}

/**
 * Where the clicks are.
 * @param {{pending: number, silenceMs: number, reachable: boolean, persistent: boolean, what?: string}} facts what: a word
 *   for one of those that wait
 * @returns {{text: string, tone: Tone}}
 */
export function saving({ pending, silenceMs, reachable, persistent, what = "change" }) {
  const kept = persistent ? "kept in this tab" : "do not close this tab";
  if (pending > 0 && (!reachable || silenceMs > DOUBT_MS)) {
    return { text: `Offline: ${counted(pending, what)} ${kept}`, tone: "bad" };
  }
  if (!reachable) return { text: "Offline: everything so far is saved", tone: "warn" };
  if (pending > 0) return { text: `Saving ${counted(pending, what)}`, tone: "busy" };
  return { text: "Saved", tone: "good" };
}

/**
 * What the learner does for the image shown.
 * @param {Meta | null} meta null before the first answer
 * @param {{reachable: boolean, covered: boolean, behind?: number, counts?: boolean}} facts covered: the overlay knows
 *   every click made so far; behind: so many it does not; counts: the project counts
 * @returns {{text: string, tone: Tone, progress: number | null}}
 */
export function learning(meta, { reachable, covered, behind = 0, counts = false }) {
  if (!reachable) return { text: "Learner out of reach", tone: "quiet", progress: null };
  if (!meta) return { text: "Waiting for the learner", tone: "quiet", progress: null };
  if (meta.shown_done) return { text: "Showing the mask kept when the image was done", tone: "quiet", progress: null };
  const progress = meta.progress > 0 && meta.progress < 1 ? meta.progress : null;
  if (meta.phase === "error") return { text: meta.message || "The learner failed", tone: "bad", progress: null };
  if (meta.phase === "missing") return { text: meta.message || "Nothing to learn from yet", tone: "warn", progress: null };
  if (meta.phase === "encoding") return { text: meta.message || "Reading the image", tone: "busy", progress };
  if (meta.phase === "fitting" || !covered) return { text: meta.message || laggard(behind, counts), tone: "busy", progress };
  if (meta.overlay === 0) return { text: meta.message || (counts ? "Nothing counted yet" : "No mask yet"), tone: "quiet", progress: null };
  return { text: counts ? "Count up to date" : "Mask up to date", tone: "good", progress: null };
}

/** How far the mask is behind the clicks. @param {number} behind @param {boolean} counts */
function laggard(behind, counts) {
  return behind > 1 ? `${counts ? "Count" : "Mask"} is ${counted(behind, "click")} behind` : "Learning";
}

/**
 * When the mask was made, and how long it took.
 * @param {Meta | null} meta
 * @returns {string}
 */
export function updated(meta) {
  if (!meta?.updated_at || !meta.overlay) return "";
  const at = new Date(meta.updated_at);
  if (Number.isNaN(at.getTime())) return "";
  const time = at.toLocaleTimeString([], { hour: "2-digit", minute: "2-digit", second: "2-digit", hour12: false });
  return typeof meta.milliseconds === "number" ? `${time} · ${Math.round(meta.milliseconds)} ms` : time;
}

/**
 * The first three steps, in the words of this project.
 * @param {readonly ClassLabel[]} classes
 * @param {number} [currentId] class of the next click; at first, of an object
 * @returns {string[]}
 */
export function firstSteps(classes, currentId = firstObject(classes)?.id) {
  if (classes.length < 2) return ["Add a second class with +", "Click a pixel of one class", "Click a pixel of the other"];
  const background = classes.find((label) => label.is_background);
  const current = classes.find((label) => label.id === currentId) ?? classes[0];
  const other = current === background ? (firstObject(classes) ?? classes[1]) : (background ?? classes.find((label) => label !== current) ?? classes[1]);
  const where = (/** @type {ClassLabel} */ label) => (background === undefined ? "on" : label === background ? "outside" : "inside");
  const press = `Press ${classes.indexOf(other) + 1} for ${other.name}, click ${background === undefined ? "on that" : where(other)}`;
  return [`Click ${where(current)}: ${current.name}`, press, "Watch the mask; click where it is wrong"];
}

/** @param {readonly ClassLabel[]} classes */
function firstObject(classes) {
  return classes.find((label) => !label.is_background);
}

/** The same in a project that counts. @param {readonly ClassLabel[]} classes @param {number} [currentId] @returns {string[]} */
export function firstCounts(classes, currentId = firstObject(classes)?.id) {
  const object = classes.find((label) => label.id === currentId && !label.is_background) ?? firstObject(classes);
  if (!object) return ["Add a class for what you count with +", "Click each object once"];
  const key = object.id === currentId ? "" : `Press ${classes.indexOf(object) + 1}, then click`;
  return [
    `${key || "Click"} once on each: ${object.name}`,
    "Others are found: a accepts the one at the cursor, d rejects it",
    "All marked, or none there? Press Enter",
  ];
}

/**
 * What is said when no image follows.
 * @param {{isOpen: boolean, nOpen: number, nImages: number}} facts isOpen: the image shown is; nOpen: others that are
 */
export function lastWords({ isOpen, nOpen, nImages }) {
  const others = `${counted(nOpen, "image")} ${nOpen === 1 ? "is" : "are"} still open`;
  if (isOpen) return nOpen ? `This is the last image. Before it ${others}.` : "This is the last image, and the only one that is open.";
  if (nOpen) return `Done. This was the last image; ${others}.`;
  return nImages === 1 ? "Done. It is the only image of this project." : `All ${nImages} images are done.`;
}

/**
 * How many images are left, all the time.
 * @param {{isOpen: boolean, nOpen: number, nImages: number, counts: boolean}} facts as in `lastWords`; counts: the project counts
 */
export function leftWords({ isOpen, nOpen, nImages, counts }) {
  const nLeft = nOpen + (isOpen ? 1 : 0);
  if (nImages === 0) return "";
  if (nLeft === 0) return counts ? "All images marked" : "All images done";
  return `${counted(nLeft, "image")} left`;
}

/**
 * What was found in an image and not accepted when all of it was said to be marked.
 * @param {string} name of the image
 * @param {number} nMarked
 * @param {number} nOpen
 */
export function leftOpen(name, nMarked, nOpen) {
  return `${name}: ${counted(nMarked, "object")}. ${nOpen} more found there ${nOpen === 1 ? "was" : "were"} not accepted, and will count as none.`;
}

/**
 * What the class bar says of a class in a project that counts.
 * @param {number} marked points of the class on the image
 * @param {import("../state/objects.js").ClassCount | null} found null while nothing was counted
 * @param {{isObject: boolean, isComplete: boolean}} facts
 * @returns {{text: string, title: string}}
 */
export function tally(marked, found, { isObject, isComplete }) {
  if (!isObject) return { text: marked ? counted(marked, "point") : "", title: `${counted(marked, "point")} that say: no object here` };
  const said = found ? `${amount(found.count)} counted${interval(found)}` : "";
  const title = [`${marked} marked in this image${isComplete ? ", which are all" : ""}`, said && `the counter found ${said.replace(" counted", "")}`];
  if (isComplete) return { text: marked ? `${marked} marked, all` : "none here", title: title.filter(Boolean).join(", ") };
  return { text: [`${marked} marked`, said].filter(Boolean).join(", "), title: title.filter(Boolean).join(", ") };
}

/** @param {{low: number | null, high: number | null}} found */
function interval({ low, high }) {
  return low === null || high === null ? "" : ` (${amount(low)}\u2013${amount(high)})`;
}

/** A count as people say it: whole, unless it is small and is not. @param {number} value */
export function amount(value) {
  return value < 10 && Math.abs(value - Math.round(value)) >= 0.05 ? value.toFixed(1) : String(Math.round(value));
}
