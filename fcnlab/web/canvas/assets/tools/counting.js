// @ts-check
import { classByPixel, meant, pixelOf, readCounts, readObjects, spacing, standing } from "../state/objects.js";
import { classOf } from "../state/page.js";
import { memoized } from "../state/store.js";
import { drawAim, drawObjects, fits } from "../view/numbers.js";
import { backgroundOf } from "../view/overlay.js";
import { PointTool } from "./points.js";

/** @typedef {import("./tool.js").ToolParts} ToolParts */
/** @typedef {import("../types.js").Found} Found */
/** @typedef {import("../types.js").StoredPoint} StoredPoint */

const RETRY_MS = 2000;

/** The tool of a project that counts: points mark objects, and keys answer for the objects that were found. */
export class CountingTool extends PointTool {
  /** @param {Pick<ToolParts, "store" | "labelling" | "toasts" | "routes" | "fetch">} parts */
  constructor({ routes, fetch: load, ...parts }) {
    super(parts);
    this.routes = routes;
    this.fetch = load ?? ((url, options) => fetch(url, options));
    /** Rises with every request: answers to older ones come too late. */
    this.turn = 0;
    /** The request whose answer is here. */
    this.fetched = 0;
  }

  /** Whether the objects of the newest overlay are here. */
  get isFetched() {
    return this.fetched === this.turn;
  }

  /** News of the image shown: the counts come at once, the objects are fetched. @param {import("../types.js").Meta} meta */
  receive({ overlay, counts }) {
    const { store } = this;
    if (overlay === store.state.count.overlay) return;
    store.set({ count: { ...store.state.count, overlay, counts: readCounts(counts) } });
    this.#load();
  }

  async #load() {
    const { store } = this;
    const { image } = store.state.labelled;
    const turn = (this.turn += 1);
    if (!image) return;
    try {
      const response = await this.fetch(this.routes.objects(image.id), { cache: "no-store" });
      if (!response.ok) throw new Error(`answer ${response.status}`);
      const objects = readObjects((await response.json()).objects);
      if (turn !== this.turn) return;
      this.fetched = turn;
      store.set({ count: { ...store.state.count, objects, spacing: spacing(objects) } });
    } catch {
      if (turn !== this.turn) return;
      setTimeout(() => turn === this.turn && this.#load(), RETRY_MS);
    }
  }

  /** Another image is on the screen: what is on its way is of the one before. */
  forget() {
    this.fetched = this.turn += 1;
  }

  stop() {
    this.turn += 1;
  }

  /** What people said of each object. */
  said() {
    const { count, labelled, scene } = this.store.state;
    return this.#said(count.objects, labelled.points, backgroundOf(scene.classes), labelled.image);
  }

  #said = memoized(
    /** @param {readonly Found[]} objects @param {readonly StoredPoint[]} points @param {number} backgroundId @param {import("../types.js").ImageInfo | null} image */
    (objects, points, backgroundId, image) => (image ? standing(objects, points, backgroundId, image) : []),
  );

  /** Objects nobody said anything about. */
  open() {
    return this.#open(this.store.state.count.objects, this.said());
  }

  #open = memoized(
    /** @param {readonly Found[]} objects @param {readonly import("../state/objects.js").Standing[]} said */
    (objects, said) => objects.filter((_, k) => said[k] === "open"),
  );

  /** Labelled pixels of the image, by class id: a second point on a pixel is no second object. @returns {Map<number, number>} */
  marked() {
    const tally = new Map();
    for (const classId of this.#classes(this.store.state.labelled.points).values()) tally.set(classId, (tally.get(classId) ?? 0) + 1);
    return tally;
  }

  #classes = memoized(classByPixel);

  /** How many objects are marked on the image. */
  nMarked() {
    const backgroundId = backgroundOf(this.store.state.scene.classes);
    let n = 0;
    for (const [classId, count] of this.marked()) if (classId !== backgroundId) n += count;
    return n;
  }

  /** The object under the cursor, which a key accepts or rejects. @returns {Found | null} */
  aim() {
    const { cursor, count, labelled, tool, view } = this.store.state;
    if (!cursor || tool !== "points" || labelled.state === "done") return null;
    return this.#meant(this.open(), view, cursor.sx, cursor.sy, count.spacing);
  }

  #meant = memoized(meant);

  /** A point where the class is marked already is no second object. @param {{row: number, col: number}} pixel @param {number} classId */
  add(pixel, classId) {
    const known = this.#classes(this.store.state.labelled.points).get(`${pixel.row},${pixel.col}`);
    if (known === classId) this.toasts.show("This pixel is marked already: it counts once.");
    else super.add(pixel, classId);
  }

  words() {
    const aim = this.aim();
    const label = aim && classOf(this.store.state, aim.classId);
    if (!aim || !label) return null;
    return { text: `${label.name} ${aim.number}, ${Math.round(100 * aim.score)} % sure: a accepts, d rejects`, colour: label.colour };
  }

  /**
   * The point that says what an object is: one of a class, or with the background that it is none.
   * @param {Found} object
   * @param {number} classId
   * @param {"click" | "query"} source
   */
  answerOf(object, classId, source) {
    const { image, state } = this.store.state.labelled;
    return image && state !== "done" ? { ...pixelOf(object, image), class_id: classId, source } : null;
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    if (action.type === "brush" || action.type === "eraser") return true;
    if (action.type !== "accept" && action.type !== "reject") return false;
    const aim = this.aim();
    const classId = action.type === "accept" ? (aim?.classId ?? -1) : backgroundOf(this.store.state.scene.classes);
    const point = aim && classId >= 0 ? this.answerOf(aim, classId, "click") : null;
    if (point) this.labelling.record("add", point);
    else this.toasts.show("Move the cursor to an object that was found: a accepts it, d rejects it.");
    return true;
  }

  /**
   * @param {CanvasRenderingContext2D} context @param {import("../types.js").View} view @param {import("../types.js").Size} size
   */
  drawOver(context, view, size) {
    const { count, display, scene } = this.store.state;
    if (!display.overlay) return;
    const colours = new Map(scene.classes.map((label) => [label.id, label.colour]));
    const isRoomy = fits(count.spacing, view.scale, count.objects.length);
    drawObjects(context, view, size, count.objects, this.said(), { colours, isRoomy });
    const aim = this.aim();
    if (aim) drawAim(context, view, aim);
  }
}
