// @ts-check
import { valueAt } from "./view/overlay.js";
import { nearest } from "./state/points.js";
import { pixelAt } from "./state/view.js";
import { learning, saving, tally, updated } from "./widgets/messages.js";

/** @typedef {import("./workspace.js").Workspace} Workspace */

const MIN_HEIGHT_PX = 480;
const BOTTOM_PX = 12;

/** Show what the workspace knows. @param {Workspace} workspace */
export function render(workspace) {
  const { asking, brush, counting, labelling, scene, stage, toolbar, notes, memory } = workspace;
  const image = labelling.image && workspace.strip.placed(labelling.image);
  const { points, state, isComplete } = labelling.now();
  asking.follow(state);
  brush.update();
  const isDone = state === "done";
  const totals = labelling.counts();
  const current = workspace.currentClass();
  stage.setPoints(points);
  stage.element.dataset.unsaved = String(labelling.log.pending.length);
  stage.element.dataset.points = String(points.length);
  stage.element.dataset.strokes = String(labelling.strokes());
  stage.element.classList.toggle("closed", isDone || asking.isOn);
  counting.update(points);
  const nObjects = counting.isOn ? counting.nMarked() : 0;
  toolbar.setAsking(asking.isOn || counting.review.isOn);
  workspace.prompt.update(scene.classes);
  workspace.classbar.update(scene.classes, asking.isOn ? -1 : current, totals, image !== null, scene.colours, tell(workspace, isComplete));
  const [nMarks, nOpen] = [points.length + labelling.strokes(), counting.open().length];
  const [canUndo, canRedo] = [labelling.canReverse("undo"), labelling.canReverse("redo")];
  toolbar.setImage(image, { nImages: scene.n_images, isDone, nMarks, isComplete, nObjects, nOpen, canUndo, canRedo });
  toolbar.setPainting(brush.tool);
  notes.setEmpty(scene.image !== null, scene.n_images, workspace.routes.page("Projects", scene));
  notes.banner.hidden = !image || !isDone;
  const isBusy = asking.isOn || brush.isOn || counting.review.isOn;
  notes.setHint(image !== null && !isBusy && !memory.hintClosed && isNew(workspace, totals), scene.classes, { currentId: current, counts: counting.isOn });
  const place = image && { id: image.id, position: image.position, nPoints: counting.isOn ? nObjects : points.length, state, isComplete };
  workspace.strip.update(scene.n_images, place);
  workspace.status.setObjectMode(scene.object_mode && !counting.isOn);
  follow(workspace);
  workspace.popovers.check();
  renderStatus(workspace);
  renderCursor(workspace);
}

/**
 * Whether nobody has seen a mask of this project yet, or in one that counts marked an object.
 * @param {Workspace} workspace @param {Map<number, number>} totals points per class over the project
 */
function isNew({ counting, meta, scene }, totals) {
  if (!meta) return false; // not known yet
  const begun = scene.classes.filter((label) => (totals.get(label.id) ?? 0) > 0);
  if (counting.isOn) return begun.every((label) => label.is_background);
  return begun.length < 2 && (meta.overlay === 0 || meta.width <= 1);
}

/** What the class bar says of each class in a project that counts. @param {Workspace} workspace @param {boolean} isComplete */
function tell({ counting }, isComplete) {
  if (!counting.isOn) return undefined;
  const marked = counting.marked();
  return (/** @type {import("./types.js").ClassLabel} */ { id, is_background: isNone }) =>
    tally(marked.get(id) ?? 0, isNone ? null : (counting.counts.get(id) ?? null), { isObject: !isNone, isComplete });
}

/** Ask for the overlay that belongs to what is shown. @param {Workspace} workspace */
function follow(workspace) {
  const { labelling, poll, display } = workspace;
  if (!labelling.image) {
    poll.stop();
    return;
  }
  const classId = display.mode === "probability" ? workspace.currentClass() : 0;
  poll.watch({ imageId: labelling.image.id, mode: display.mode, classId });
}

/** @param {Workspace} workspace */
export function renderStatus(workspace) {
  const { labelling, status, meta, reachable, display, notes, scene } = workspace;
  const { sender, log } = labelling;
  status.setSaving(
    saving({ pending: log.pending.length, silenceMs: sender.silenceMs(), reachable, persistent: log.persistent }),
  );
  if (labelling.image) {
    const covered = meta !== null && labelling.isCovered(meta.covers);
    status.setLearner(learning(meta, { reachable, covered, counts: workspace.counting.isOn }), updated(meta));
  } else {
    status.setLearner({ text: "", tone: "quiet", progress: null }, "");
  }
  const className = scene.classes.find((label) => label.id === workspace.currentClass())?.name ?? "";
  notes.setLegend(display.mode, workspace.shownDisplay().overlay && labelling.image !== null, className);
}

/** @param {Workspace} workspace */
export function renderCursor(workspace) {
  const { cursor, stage, labelling, status, scene } = workspace;
  const { image } = labelling;
  workspace.brush.redraw();
  workspace.counting.point(cursor);
  status.setZoom(image ? stage.view.scale : null);
  const pixel = cursor && image ? pixelAt(stage.view, image, cursor.sx, cursor.sy) : null;
  const removable = cursor && !workspace.asking.isOn && !workspace.brush.isOn && labelling.now().state !== "done";
  stage.mark(removable ? (nearest(stage.points, stage.view, cursor.sx, cursor.sy)?.[0] ?? null) : null);
  const { overlay } = stage;
  const aimed = workspace.counting.words();
  if (aimed) {
    status.setCursor(pixel, aimed);
    return;
  }
  if (!pixel || !overlay || !image) {
    status.setCursor(pixel, { text: "", colour: null });
    return;
  }
  const value = valueAt(overlay, image, pixel.row, pixel.col);
  if (overlay.mode === "mask") {
    const label = scene.classes.find((candidate) => candidate.id === value);
    status.setCursor(pixel, { text: label?.name ?? "", colour: label?.colour ?? null });
  } else {
    status.setCursor(pixel, { text: `${overlay.mode} ${(value / 255).toFixed(2)}`, colour: null });
  }
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
