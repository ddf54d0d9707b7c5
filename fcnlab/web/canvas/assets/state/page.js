// @ts-check
import { offeredModes } from "./modes.js";
import { loadDisplay, loadMemory } from "./settings.js";

/**
 * @typedef {import("./store.js").Store<PageState>} PageStore
 * @typedef {"points" | "remover" | "brush" | "eraser" | "query" | "review"} ToolName
 * @typedef {{sx: number, sy: number}} Place of the viewport
 * @typedef {{overlay: number, counts: Map<number, import("./objects.js").ClassCount>, objects: readonly Found[],
 *   spacing: number}} Count of which overlay; per class; the objects and how far they are apart as a rule
 */

/** @typedef {import("../types.js").Found} Found */
/** @typedef {import("../types.js").ClassLabel} ClassLabel */

/**
 * Everything that is drawn from.
 * @typedef {object} PageState
 * @property {import("../types.js").Scene} scene what the server sent last
 * @property {import("./labelling.js").LabelledImage} labelled the image on the screen, with what is pending
 * @property {import("../types.js").Meta | null} meta of its newest overlay; null before the first answer
 * @property {import("../types.js").Overlay | null} received the newest overlay of the server, of any image
 * @property {import("../types.js").Overlay | null} reference a mask to hold beside it, of the image that was shown when it was asked for
 * @property {Count} count what was counted in the image, in a project that counts
 * @property {boolean} isReachable whether the server answers
 * @property {number | null} loading the image whose picture is on its way
 * @property {"loading" | "failed" | "shown"} picture what is said of it
 * @property {import("./settings.js").Display} display how the labeller wants to see pictures
 * @property {import("./settings.js").Memory} memory what this browser remembers of the project
 * @property {ToolName} tool
 * @property {import("../tools/query.js").QueryState | null} query what query mode asks; null while another tool is chosen
 * @property {boolean} isMaskHidden while a pixel is asked the mask is not shown by itself, so that it sways nobody
 * @property {import("../tools/review.js").ReviewState | null} review the same of the review of objects
 * @property {number[] | null} order of the images by gain; null in import order
 * @property {Place | null} cursor over the picture
 * @property {import("../types.js").View} view
 */

/** @type {Count} */
export const NOT_COUNTED = Object.freeze({ overlay: 0, counts: new Map(), objects: [], spacing: Infinity });

/**
 * @param {import("../types.js").Scene} scene @param {import("./labelling.js").LabelledImage} labelled
 * @param {import("../types.js").View} view
 * @returns {PageState} what is shown before the first picture
 */
export function stateAtFirst(scene, labelled, view) {
  return {
    scene,
    labelled,
    meta: null,
    received: null,
    reference: null,
    count: NOT_COUNTED,
    isReachable: true,
    loading: null,
    picture: "shown",
    display: loadDisplay(scene.project.task === "counts"),
    memory: loadMemory(scene.project.key),
    tool: "points",
    query: null,
    isMaskHidden: false,
    review: null,
    order: null,
    cursor: null,
    view,
  };
}

/** @param {PageState} state */
export function isCounting({ scene }) {
  return scene.project.task === "counts";
}

/** The class the next click gives, its id: the one last used, else the first object; -1 without classes. @param {PageState} state */
export function currentClass({ scene: { classes }, memory: { classId } }) {
  const label = classes.find(({ id }) => id === classId) ?? classes.find((one) => !one.is_background) ?? classes[0];
  return label?.id ?? -1;
}

/** @param {PageState} state @param {number | undefined} classId @returns {ClassLabel | undefined} */
export function classOf({ scene }, classId) {
  return scene.classes.find((label) => label.id === classId);
}

/** The classes that are grades, the lowest first. @param {PageState} state @returns {ClassLabel[]} */
export function gradesOf({ scene: { classes } }) {
  const grades = classes.filter((label) => label.grade !== null && label.grade !== undefined);
  return grades.sort((a, b) => Number(a.grade) - Number(b.grade));
}

/** The classes that a map is about. @param {PageState} state @param {{mode: import("../types.js").Mode, classId: number}} wish */
export function classesOf(state, { mode, classId }) {
  return mode === "grade" ? gradesOf(state).map((label) => label.id) : [classId];
}

/** How the image is shown now: in a mode that it offers; while a pixel is asked about, the mask is out of sight. @param {PageState} state */
export function shownDisplay(state) {
  const { display, isMaskHidden, labelled } = state;
  const isOffered = offeredModes(labelled.image, labelled.state, gradesOf(state).length > 0).includes(display.mode);
  if (isOffered && !isMaskHidden) return display;
  return { ...display, mode: isOffered ? display.mode : "mask", overlay: display.overlay && !isMaskHidden };
}

/** @param {PageStore} store @param {Partial<import("./settings.js").Display>} change */
export function setDisplay(store, change) {
  store.set({ display: { ...store.state.display, ...change } });
}

/** @param {PageStore} store @param {Partial<import("./settings.js").Memory>} change */
export function remember(store, change) {
  store.set({ memory: { ...store.state.memory, ...change } });
}
