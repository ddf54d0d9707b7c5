// @ts-check
import { followedMode, isClassMap, offeredModes, referenceOf } from "./state/modes.js";
import { classOf, currentClass, gradesOf, isCounting, remember, shownDisplay } from "./state/page.js";
import { canReverse } from "./state/points.js";
import { saveDisplay, saveMemory } from "./state/settings.js";
import { pixelAt } from "./state/view.js";
import { brushLimits, brushSize } from "./tools/brush.js";
import { valueAt } from "./view/overlay.js";
import { learning, leftWords, saving, tally, updated } from "./widgets/messages.js";

/** @typedef {import("./workspace.js").Workspace} Workspace */
/** @typedef {import("./state/page.js").PageState} PageState */

const MIN_HEIGHT_PX = 480;
const BOTTOM_PX = 12;
/** What is free above and below a bar at the foot of the picture. */
const FREE_PX = 26;

/** Show the state in all parts of the page, now and whenever it changes. @param {Workspace} workspace */
export function render(workspace) {
  const { query, review, store } = workspace;
  const renderDisplay = displayed(workspace);
  /** @type {[(keyof PageState)[], (workspace: Workspace, state: PageState) => void][]} */
  const parts = [
    [["display", "isMaskHidden", "labelled"], renderDisplay],
    [["display", "labelled"], putToolAway],
    [["labelled", "tool", "picture", "scene", "memory", "display", "count"], renderStage],
    [["labelled", "display", "received", "reference"], renderOverlay],
    [["labelled", "display"], renderReferences],
    [["scene", "labelled", "memory", "tool", "count"], renderClasses],
    [["scene", "labelled", "order", "tool", "count"], renderImage],
    [["scene", "labelled", "memory", "tool", "received"], renderBrush],
    [["scene", "query"], renderPrompt],
    [["scene", "labelled", "review", "count"], renderReview],
    [["scene", "labelled", "memory", "tool", "meta", "picture", "display"], renderNotes],
    [["labelled", "display", "memory", "scene"], follow],
    [["scene", "labelled", "meta", "isReachable", "display", "isMaskHidden", "memory", "received", "reference"], renderStatus],
    [["scene", "labelled", "cursor", "view", "received", "display", "tool", "count", "memory"], renderCursor],
    [["scene", "labelled", "count", "tool", "order"], () => workspace.popovers.check()],
    [["display"], (_, state) => saveDisplay(state.display, isCounting(state))],
    [["memory"], (_, { memory, scene }) => saveMemory(scene.project.key, memory)],
    [["labelled", "view"], () => workspace.crosshair.follow()],
    [["memory"], tellClass(workspace)],
    [["labelled"], () => query.follow()],
    [["count"], () => review?.follow()],
    [["scene"], tellPage],
  ];
  for (const [keys, show] of parts) store.subscribe(keys, (state) => show(workspace, state));
  for (const show of [renderDisplay, renderStage, renderClasses, renderImage, renderBrush, renderPrompt, renderReview, renderNotes, renderStatus, renderCursor]) {
    show(workspace, store.state);
  }
  saveDisplay(store.state.display, isCounting(store.state));
}

/** How the mask is shown; nothing is drawn again for a click that changes nothing of it. @param {Workspace} workspace */
function displayed({ stage, toolbar }) {
  let before = "";
  return (/** @type {Workspace} */ _workspace, /** @type {PageState} */ state) => {
    const display = shownDisplay(state);
    const { image, state: imageState } = state.labelled;
    const modes = offeredModes(image, imageState, gradesOf(state).length > 0);
    const now = JSON.stringify([display, modes, imageState === "done"]);
    if (now === before) return;
    before = now;
    if (stage.display && stage.display.mode !== display.mode) stage.dropOverlay();
    stage.setDisplay(display);
    toolbar.setModes(modes, imageState === "done");
    toolbar.setDisplay(display);
  };
}

/** Tell what else is on the page, without a question to the server, what is stored of the image. @param {Workspace} _ @param {PageState} state */
function tellPage(_, { scene: { image, points, open } }) {
  const isOpen = image !== null && image.state !== "done";
  const detail = { image: image?.id ?? null, points: points.length, open: open.count + Number(isOpen) };
  window.dispatchEvent(new CustomEvent("fcnlab-labelled", { detail }));
}

/** Fetch the mask to hold beside the one shown. @param {Workspace} workspace @param {PageState} state */
function renderReferences({ references }, state) {
  references.follow(state.labelled.image, shownDisplay(state).mode);
}

/** Only masks are painted, and only points that are there are removed. @param {Workspace} workspace @param {PageState} state */
function putToolAway({ toolbox }, { display, labelled, tool }) {
  const isPainting = tool === "brush" || tool === "eraser";
  if (isPainting && (display.mode !== "mask" || !labelled.image)) toolbox.choose("points");
  if (tool === "remover" && (!labelled.image || labelled.state === "done")) toolbox.choose("points");
}

/** Who does not see the class bar hears which class a key chose. @param {Workspace} workspace */
function tellClass({ speech, store }) {
  let before = currentClass(store.state);
  return (/** @type {Workspace} */ _workspace, /** @type {PageState} */ state) => {
    const now = currentClass(state);
    if (now !== before) speech.say(`Class ${classOf(state, now)?.name ?? ""}`);
    before = now;
  };
}

/** The points, and what kind of clicks mean something. @param {Workspace} workspace @param {PageState} state */
function renderStage({ counting, stage, toolbox }, { labelled, tool }) {
  const { points, state: imageState, nPending, nStrokes } = labelled;
  if (stage.points !== points) stage.setPoints(points);
  Object.assign(stage.element.dataset, { unsaved: String(nPending), points: String(points.length), strokes: String(nStrokes) });
  stage.element.classList.toggle("closed", imageState === "done" || tool === "query");
  stage.element.classList.toggle("painting", toolbox.current.paints);
  stage.element.classList.toggle("removing", tool === "remover");
  stage.element.dataset.complete = String(counting !== null && labelled.isComplete);
  stage.redraw("strokes", "dots");
}

/** @param {Workspace} workspace @param {PageState} state */
function renderOverlay({ composition, labelling }, state) {
  const { labelled, meta, received, reference } = state;
  const strokesBeyond = (/** @type {number} */ covers) => labelling.fresh.beyond(covers);
  const { mode } = shownDisplay(state);
  composition.update({ image: labelled.image, mode, received, strokesBeyond, covers: meta?.covers ?? 0, reference });
}

/** @param {Workspace} workspace @param {PageState} state */
function renderClasses({ classbar, counting, labelling }, state) {
  const { labelled, scene, tool, count } = state;
  const tell = (/** @type {import("./types.js").ClassLabel} */ { id, is_background: isNone }) =>
    tally(marked?.get(id) ?? 0, isNone ? null : (count.counts.get(id) ?? null), { isObject: !isNone, isComplete: labelled.isComplete });
  const marked = counting?.marked();
  const current = tool === "query" ? -1 : currentClass(state);
  classbar.update(scene.classes, current, labelling.counts(), labelled.image !== null, scene.colours, counting ? tell : undefined);
}

/** What there is to do with the image: the toolbar, and its place in the strip. @param {Workspace} workspace @param {PageState} state */
function renderImage({ counting, strip, toolbar }, { labelled, scene, tool }) {
  const { points, state, isComplete, nStrokes } = labelled;
  const image = labelled.image && strip.placed(labelled.image);
  const nObjects = counting?.nMarked() ?? 0;
  toolbar.setAsking(tool === "query" || tool === "review");
  toolbar.setTool(tool);
  toolbar.setImage(image, {
    nImages: image ? strip.among(image.id, scene.n_images) : scene.n_images,
    isDone: state === "done",
    nMarks: points.length + nStrokes,
    isComplete,
    nObjects,
    nOpen: counting?.open().length ?? 0,
    canUndo: canReverse(labelled, "undo"),
    canRedo: canReverse(labelled, "redo"),
  });
  strip.setClasses(scene.classes);
  strip.update(scene.n_images, image && { id: image.id, position: image.position, nPoints: counting ? nObjects : points.length, state, isComplete });
}

/** @param {Workspace} workspace @param {PageState} state */
function renderBrush({ brushbar }, state) {
  const { labelled, tool } = state;
  const isShown = (tool === "brush" || tool === "eraser") && labelled.state !== "done";
  const label = classOf(state, currentClass(state));
  brushbar.update({ tool: isShown ? tool : null, label, size: brushSize(state), limits: brushLimits(state) });
}

/** @param {Workspace} workspace @param {PageState} state */
function renderPrompt({ prompt, stage }, { query, review, scene }) {
  prompt.update(query, scene.classes);
  if (!review) stage.coveredPx = query ? prompt.element.offsetHeight + FREE_PX : 0;
}

/** @param {Workspace} workspace @param {PageState} state */
function renderReview({ review: tool, reviewbar, stage }, { count, query, review, scene }) {
  reviewbar.update(review, { classes: scene.classes, nLeft: review && tool ? tool.nLeft() : 0, nObjects: count.objects.length });
  if (!query) stage.coveredPx = review ? reviewbar.element.offsetHeight + FREE_PX : 0;
}

/** What floats above the picture. @param {Workspace} workspace @param {PageState} state */
function renderNotes({ labelling, notes, routes, store }, state) {
  const { labelled, memory, picture, scene, tool } = state;
  const { image } = labelled;
  notes.setEmpty(scene.image !== null, scene.n_images, routes.page("Projects", scene));
  notes.setPicture(picture);
  notes.banner.hidden = !image || labelled.state !== "done";
  notes.taking.hidden = !image || labelled.state === "done" || shownDisplay(state).mode !== "imported" || tool === "remover";
  notes.removing.hidden = tool !== "remover";
  const isOver = memory.hintClosed || (state.meta !== null && !isNew(state, labelling.counts()));
  if (isOver && !memory.hintClosed) remember(store, { hintClosed: true }); // whoever saw a mask once needs no first steps
  const isHinted = image !== null && state.meta !== null && tool === "points" && !isOver;
  notes.setHint(isHinted, scene.classes, { currentId: currentClass(state), counts: isCounting(state) });
}

/**
 * Whether nobody has seen a mask of this project yet, or in one that counts marked an object.
 * @param {PageState} state @param {Map<number, number>} totals points per class over the project
 */
function isNew(state, totals) {
  const { meta, scene } = state;
  const begun = scene.classes.filter((label) => (totals.get(label.id) ?? 0) > 0);
  if (isCounting(state)) return begun.every((label) => label.is_background);
  return begun.length < 2 && (!meta?.overlay || meta.width <= 1);
}

/** Ask for the overlay that belongs to what is shown. @param {Workspace} workspace @param {PageState} state */
function follow({ poll }, state) {
  const { labelled } = state;
  if (!labelled.image) {
    poll.stop();
    return;
  }
  const mode = followedMode(shownDisplay(state).mode);
  poll.watch({ imageId: labelled.image.id, mode, classId: mode === "probability" ? currentClass(state) : 0 });
}

/** @param {Workspace} workspace */
export function renderStatus({ labelling, notes, stage, status, store: { state } }) {
  const { isReachable: reachable, labelled, meta, scene } = state;
  const { sender, log } = labelling;
  status.setSaving(saving({ pending: labelled.nPending, silenceMs: sender.silenceMs(), reachable, persistent: log.persistent }));
  const isOpen = labelled.image !== null && (isCounting(state) ? !labelled.isComplete : labelled.state !== "done");
  const words = leftWords({ isOpen, nOpen: scene.open.count, nImages: scene.n_images, counts: isCounting(state) });
  status.setLeft({ words, leadsOn: scene.open.next_id !== null });
  status.setObjectMode(scene.object_mode && !isCounting(state));
  if (labelled.image) {
    const covered = meta !== null && labelling.isCovered(meta.covers);
    const behind = labelling.behind(meta?.covers ?? 0);
    status.setLearner(learning(meta, { reachable, covered, behind, counts: isCounting(state) }), updated(meta));
  } else {
    status.setLearner({ text: "", tone: "quiet", progress: null }, "");
  }
  const className = classOf(state, currentClass(state))?.name ?? "";
  const display = shownDisplay(state);
  const grades = gradesOf(state);
  const legend = legendOf(stage.overlay, display.mode, className, labelled.image);
  notes.setLegend(display.mode, display.overlay && labelled.image !== null, legend, display.mode === "grade" ? [grades[0].name, grades[grades.length - 1].name] : undefined);
}

/**
 * What an overlay that is no class map means.
 * @param {import("./types.js").Overlay | null} overlay @param {import("./types.js").Mode} mode @param {string} className
 * @param {import("./types.js").ImageInfo | null} image
 */
function legendOf(overlay, mode, className, image) {
  if (mode === "probability") return `Probability of ${className}`;
  if (mode === "uncertainty") return "Uncertainty";
  if (mode === "grade") return "Expected grade";
  const from = referenceOf(mode, image) === "imported" ? "the imported mask" : "what would be predicted now";
  const share = overlay?.mode === "difference" ? /** @type {any} */ (overlay).share : null;
  return share === null ? `Comparing with ${from}` : `${(100 * share).toFixed(1)} % of the pixels differ from ${from}`;
}

/** What is under the cursor. @param {Workspace} workspace @param {PageState} state */
function renderCursor({ counting, stage, status, toolbox }, state) {
  const { count, cursor, labelled, view } = state;
  const { image } = labelled;
  const tool = toolbox.current;
  if (tool.paints) stage.redraw("strokes");
  if (counting) {
    const aim = counting.aim();
    stage.setAim(aim ? String(aim.number) : "");
    stage.element.dataset.objects = String(count.objects.length);
  }
  status.setZoom(image ? view.scale : null);
  stage.mark(tool.removable());
  const pixel = cursor && image ? pixelAt(view, image, cursor.sx, cursor.sy) : null;
  status.setCursor(pixel, tool.words() ?? (pixel && image && valueUnder(stage.overlay, state, image, pixel)) ?? { text: "", colour: null });
}

/**
 * What an overlay says of a pixel.
 * @param {import("./types.js").Overlay | null} overlay @param {PageState} state @param {import("./types.js").ImageInfo} image
 * @param {{row: number, col: number}} pixel
 */
function valueUnder(overlay, state, image, { row, col }) {
  if (!overlay) return null;
  const value = valueAt(overlay, image, row, col);
  if (overlay.mode === "difference") return { text: value ? "differs" : "", colour: null };
  if (overlay.mode === "grade") return { text: gradeWords(value, gradesOf(state).length), colour: null };
  if (!isClassMap(overlay.mode)) return { text: `${overlay.mode} ${(value / 255).toFixed(2)}`, colour: null };
  const label = classOf(state, value);
  return { text: label?.name ?? "", colour: label?.colour ?? null };
}

/** @param {number} value of a map of expected grades @param {number} count of grades */
function gradeWords(value, count) {
  return value ? `grade ${(1 + ((value - 1) / 254) * (count - 1)).toFixed(1)} of ${count}` : "no grade";
}

/** Fill the window from where the workspace begins. @param {Workspace} workspace */
export function layout({ root, stage }) {
  const top = root.getBoundingClientRect().top + scrolledAbove(root);
  const height = Math.max(MIN_HEIGHT_PX, Math.floor(window.innerHeight - top - BOTTOM_PX));
  if (root.style.height !== `${height}px`) root.style.height = `${height}px`;
  stage.resize();
}

/** How far the page around the component has been scrolled. @param {HTMLElement} root */
function scrolledAbove(root) {
  const inside = root.getRootNode();
  let element = inside instanceof ShadowRoot ? inside.host : root.parentElement;
  let scrolled = 0;
  while (element) {
    scrolled += element.scrollTop;
    element = element.parentElement;
  }
  return scrolled;
}
