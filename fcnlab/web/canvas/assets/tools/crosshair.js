// @ts-check
import { classOf, currentClass } from "../state/page.js";
import { pixelAt, shownAt } from "../state/view.js";

/** @typedef {import("../state/page.js").Place} Place */
/** @typedef {{row: number, col: number}} Pixel */
/** @typedef {{key: string, shiftKey?: boolean, ctrlKey?: boolean, metaKey?: boolean, altKey?: boolean, repeat?: boolean}} Press */

/** An arrow moves so far on the screen, and at least a pixel of the picture: enlarge the picture to aim. */
const STEP_PX = 4;
const LARGE_STEP_PX = 48;
/** The picture moves when the cursor comes this near to an edge of the viewport. */
const EDGE_PX = 32;

/** @type {Record<string, [dx: number, dy: number]>} */
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };

/**
 * The pixel an arrow leads to.
 * @param {Pixel} pixel
 * @param {[dx: number, dy: number]} way
 * @param {boolean} isLarge
 * @param {number} scale of the view
 * @param {import("../types.js").Size} picture
 * @returns {Pixel}
 */
export function stepped({ row, col }, [dx, dy], isLarge, scale, picture) {
  const step = Math.max(1, Math.round((isLarge ? LARGE_STEP_PX : STEP_PX) / scale));
  return { row: within(row + dy * step, picture.height), col: within(col + dx * step, picture.width) };
}

/** @param {number} at @param {number} n */
function within(at, n) {
  return Math.min(n - 1, Math.max(0, at));
}

/**
 * How far the picture must move until a place is away from the edges of the viewport.
 * @param {Place} at
 * @param {import("../types.js").Size} room
 * @returns {{dx: number, dy: number}}
 */
export function wayIntoSight({ sx, sy }, { width, height }) {
  const way = (/** @type {number} */ at, /** @type {number} */ side) => {
    const edge = Math.min(EDGE_PX, side / 2);
    return Math.max(edge - at, 0) + Math.min(side - edge - at, 0);
  };
  return { dx: way(sx, width), dy: way(sy, height) };
}

/**
 * A cursor for people who use no mouse. While it is on and the picture has the focus, arrows move it, and Space is a
 * click of the chosen tool at it. Whoever comes to the picture by Tab has it, others call it by a key.
 */
export class Crosshair {
  /**
   * @param {Pick<import("./tool.js").ToolParts, "store" | "labelling" | "toolbox" | "toasts"> & {
   *   stage: Pick<import("../view/stage.js").Stage, "focus" | "hasFocus" | "pan" | "room" | "setCrosshair">,
   *   popovers: Pick<import("../widgets/popover.js").Popovers, "open">, speech: Pick<import("../widgets/speech.js").Speech, "say" | "later">}} parts
   */
  constructor({ store, labelling, toolbox, toasts, stage, popovers, speech }) {
    this.store = store;
    this.labelling = labelling;
    this.toolbox = toolbox;
    this.toasts = toasts;
    this.stage = stage;
    this.popovers = popovers;
    this.speech = speech;
    this.isOn = false;
    this.isExplained = false;
    /** Where it is. @type {Pixel} */
    this.pixel = { row: 0, col: 0 };
    /** The image it is on. @type {number | null} */
    this.imageId = null;
  }

  /** Whether keys move it now. */
  get isActive() {
    return this.isOn && this.store.state.labelled.image !== null && this.stage.hasFocus();
  }

  /** Bring it up under the mouse, else in the middle of what is seen; once more, back to the middle. */
  begin() {
    const { labelled, cursor, view } = this.store.state;
    if (!labelled.image) return;
    this.stage.focus();
    const under = !this.isOn && cursor ? pixelAt(view, labelled.image, cursor.sx, cursor.sy) : null;
    this.isOn = true;
    this.imageId = labelled.image.id;
    this.pixel = under ?? this.#middle();
    this.show();
    if (!this.isExplained) this.toasts.show("Arrow keys move this cursor, Space clicks, Delete removes a point, Esc puts it away.");
    this.isExplained = true;
  }

  /** The picture has the focus by Tab: go on where the cursor was. */
  enter() {
    if (this.isOn && this.imageId === this.store.state.labelled.image?.id) this.show();
    else this.begin();
  }

  /** The arrows mean the images again. */
  leave() {
    if (!this.isOn) return;
    this.isOn = false;
    this.hide();
  }

  /** Another part of the page has the focus, or none. */
  hide() {
    this.stage.setCrosshair(null);
    this.store.set({ cursor: null });
  }

  /** Draw it, and say where it is. */
  show() {
    if (!this.isActive) return;
    this.#intoSight();
    this.follow();
    this.speech.later(this.#whereabouts());
  }

  /** The view was moved, or another image is shown: it stays on its pixel. */
  follow() {
    if (!this.isActive) return;
    const { labelled, view, cursor } = this.store.state;
    if (labelled.image?.id !== this.imageId) {
      this.imageId = labelled.image?.id ?? null;
      this.pixel = this.#middle();
    }
    const at = shownAt(view, this.pixel.row, this.pixel.col);
    this.stage.setCrosshair(this.pixel);
    if (cursor?.sx !== at.sx || cursor.sy !== at.sy) this.store.set({ cursor: at });
  }

  /** @param {Press} press @returns {boolean} whether the key meant the cursor */
  read(press) {
    if (!this.isActive || press.ctrlKey || press.metaKey || press.altKey) return false;
    const { image } = this.store.state.labelled;
    const way = WAYS[press.key];
    if (way && image) {
      this.pixel = stepped(this.pixel, way, press.shiftKey === true, this.store.state.view.scale, image);
      this.show();
    } else if (press.key === " ") {
      if (!press.repeat) this.#click();
    } else if (press.key === "Delete" || press.key === "Backspace") {
      if (!press.repeat) this.#remove();
    } else if (press.key === "Escape" && !this.popovers.open) {
      this.leave();
      this.speech.say("Cursor off. Arrow keys go to the other images.");
    } else return false;
    return true;
  }

  /** What a click of the mouse does there. */
  #click() {
    const before = this.labelling.now();
    const tool = this.toolbox.current;
    const at = this.#aimed();
    tool.onDown(at);
    tool.onUp(at);
    this.#tell(before);
  }

  /** What a right click does there. */
  #remove() {
    const before = this.labelling.now();
    this.toolbox.current.onRemove(this.#aimed());
    this.#tell(before, "No point is near the cursor.");
  }

  /** Where it is shown, and it is shown. */
  #aimed() {
    this.#intoSight();
    this.follow();
    return shownAt(this.store.state.view, this.pixel.row, this.pixel.col);
  }

  /** Say what became of a key. @param {import("../state/labelling.js").LabelledImage} before @param {string} [nothing] */
  #tell(before, nothing = "") {
    const { state } = this.store;
    const now = this.labelling.now();
    const name = (/** @type {number} */ classId) => classOf(state, classId)?.name ?? "";
    const added = now.points.length > before.points.length ? now.points[now.points.length - 1] : null;
    const gone = before.points.find(([uid]) => now.points.length < before.points.length && now.points.every((point) => point[0] !== uid));
    if (added) this.speech.say(`${placeOf(added[1], added[2])}: ${name(added[3])}`);
    else if (gone) this.speech.say(`${placeOf(gone[1], gone[2])}: ${name(gone[3])} removed`);
    else if (now.nStrokes > before.nStrokes) this.speech.say(`${this.#here()}: ${state.tool === "eraser" ? "erased" : `painted ${name(currentClass(state))}`}`);
    else if (now.state === "done") this.speech.say("This image is done. Reopen it to change something.");
    else if (state.tool === "query") this.speech.say("Answer by the number of a class.");
    else if (nothing) this.speech.say(nothing);
  }

  #here() {
    return placeOf(this.pixel.row, this.pixel.col);
  }

  /** Its place, and the point there, which a key would remove. */
  #whereabouts() {
    const uid = this.toolbox.current.removable();
    const point = this.store.state.labelled.points.find((candidate) => candidate[0] === uid);
    return `${this.#here()}${point ? `, at a point of ${classOf(this.store.state, point[3])?.name ?? ""}` : ""}`;
  }

  #intoSight() {
    const { dx, dy } = wayIntoSight(shownAt(this.store.state.view, this.pixel.row, this.pixel.col), this.stage.room());
    if (dx || dy) this.stage.pan(dx, dy);
  }

  /** The pixel in the middle of what is seen. @returns {Pixel} */
  #middle() {
    const { labelled: { image }, view } = this.store.state;
    if (!image) return { row: 0, col: 0 };
    const { width, height } = this.stage.room();
    const { row, col } = { row: Math.floor((height / 2 - view.y) / view.scale), col: Math.floor((width / 2 - view.x) / view.scale) };
    return { row: within(row, image.height), col: within(col, image.width) };
  }
}

/** @param {number} row @param {number} col */
function placeOf(row, col) {
  return `Row ${row}, column ${col}`;
}
