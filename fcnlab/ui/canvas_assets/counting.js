// @ts-check
import { render, renderCursor } from "./face.js";
import { drawAim, drawObjects, fits } from "./numbers.js";
import { meant, pixelOf, readCounts, readObjects, spacing, standing } from "./objects.js";
import { backgroundOf } from "./overlay.js";
import { Review } from "./review.js";
import { counted, leftOpen } from "./words.js";

/** @typedef {import("./workspace.js").Workspace} Workspace */
/** @typedef {import("./types.js").Found} Found */

const RETRY_MS = 2000;

/** What is particular to a project that counts: the objects found in the image, and what people say of them. */
export class Counting {
  /** @param {Workspace} workspace @param {boolean} isOn whether the project counts */
  constructor(workspace, isOn) {
    this.workspace = workspace;
    this.isOn = isOn;
    /** Number of the newest overlay whose objects were asked for. */
    this.overlay = 0;
    /** Rises with every request: answers to older ones come too late. */
    this.turn = 0;
    /** @type {Found[]} */
    this.objects = [];
    /** @type {Map<number, import("./objects.js").ClassCount>} */
    this.counts = new Map();
    /** @type {import("./objects.js").Standing[]} */
    this.said = [];
    this.usual = Infinity;
    /** The object under the cursor. @type {Found | null} */
    this.aim = null;
    this.review = new Review(this);
    if (isOn) workspace.stage.overDots = (context, view, size) => this.#paint(context, view, size);
  }

  /** News of the image shown: the counts come at once, the objects are fetched. @param {import("./types.js").Meta} meta */
  receive({ overlay, counts }) {
    if (!this.isOn || overlay === this.overlay) return;
    this.overlay = overlay;
    this.counts = readCounts(counts);
    render(this.workspace);
    this.#fetch();
  }

  async #fetch() {
    const image = this.workspace.labelling.image;
    const turn = (this.turn += 1);
    if (!image) return;
    try {
      const response = await fetch(this.workspace.routes.objects(image.id), { cache: "no-store" });
      if (!response.ok) throw new Error(`answer ${response.status}`);
      const { objects } = await response.json();
      if (turn !== this.turn) return;
      this.objects = readObjects(objects);
      this.usual = spacing(this.objects);
      render(this.workspace);
      this.review.refresh();
    } catch {
      if (turn !== this.turn) return;
      setTimeout(() => turn === this.turn && this.#fetch(), RETRY_MS);
    }
  }

  /** Another image is on the screen: nothing is known of it yet. */
  forget() {
    this.turn += 1;
    this.overlay = 0;
    this.objects = [];
    this.counts = new Map();
    this.said = [];
    this.aim = null;
    this.review.arrived();
  }

  /** Bring what is shown in line with the points. @param {readonly import("./types.js").StoredPoint[]} points */
  update(points) {
    const { labelling, scene, stage } = this.workspace;
    const backgroundId = backgroundOf(scene.classes);
    this.said = labelling.image ? standing(this.objects, points, backgroundId, labelling.image) : [];
    stage.element.dataset.objects = String(this.objects.length);
    stage.element.dataset.complete = String(this.isOn && labelling.now().isComplete);
    stage.redraw("dots");
    this.review.update();
  }

  /** Objects nobody said anything about. */
  open() {
    return this.objects.filter((_, k) => this.said[k] === "open");
  }

  /** Points of object classes on the image, by class id. */
  marked() {
    const tally = new Map();
    for (const point of this.workspace.labelling.now().points) tally.set(point[3], (tally.get(point[3]) ?? 0) + 1);
    return tally;
  }

  /** How many objects are marked on the image. */
  nMarked() {
    const backgroundId = backgroundOf(this.workspace.scene.classes);
    let n = 0;
    for (const [classId, count] of this.marked()) if (classId !== backgroundId) n += count;
    return n;
  }

  /** The cursor moved. @param {{sx: number, sy: number} | null} cursor */
  point(cursor) {
    const { stage, labelling } = this.workspace;
    const mayChange = this.isOn && !this.review.isOn && labelling.now().state !== "done";
    const aim = cursor && mayChange ? meant(this.open(), stage.view, cursor.sx, cursor.sy, this.usual) : null;
    if (aim === this.aim) return;
    this.aim = aim;
    stage.element.dataset.aim = aim ? String(aim.number) : "";
    stage.redraw("dots");
  }

  /** What the status line says of the object under the cursor. */
  words() {
    const { aim, workspace } = this;
    const label = workspace.scene.classes.find((one) => one.id === aim?.classId);
    if (!aim || !label) return null;
    return { text: `${label.name} ${aim.number}, ${Math.round(100 * aim.score)} % sure: a accepts, d rejects`, colour: label.colour };
  }

  /**
   * Say what an object is: one of a class, or with the background that it is none.
   * @param {Found} object
   * @param {number} classId
   * @param {"click" | "query"} source
   */
  answer(object, classId, source) {
    const { labelling } = this.workspace;
    if (!labelling.image || labelling.now().state === "done") return;
    labelling.record("add", { ...pixelOf(object, labelling.image), class_id: classId, source });
    this.aim = null;
    renderCursor(this.workspace);
  }

  /**
   * Say that all objects of the image are marked, or that they are not; asks first where objects were found and none
   * of them is marked, and says how many found ones are left out where only some are.
   * @param {boolean} [complete]
   * @param {() => void} [then] what follows once it is said
   */
  setComplete(complete = !this.workspace.labelling.now().isComplete, then = () => {}) {
    const { labelling, meta, popovers, toasts, toolbar } = this.workspace;
    const n = this.open().length;
    const nMarked = this.nMarked();
    const isNews = complete && n > 0 && nMarked > 0 && meta !== null && labelling.isCovered(meta.covers);
    const go = () => {
      labelling.record("complete", { complete });
      if (isNews) toasts.show(leftOpen(labelling.image?.name ?? "", nMarked, n));
      then();
    };
    if (!complete || n === 0 || nMarked > 0) go();
    else popovers.confirm(toolbar.done, `${counted(n, "object")} found, none marked. Say that there are none?`, "No objects here", go);
  }

  /**
   * What a key means in a project that counts.
   * @param {import("./keys.js").Action} action
   * @returns {boolean} whether it means something of its own here
   */
  perform(action) {
    if (!this.isOn) return false;
    if (this.review.isOn && this.review.perform(action)) return true;
    const backgroundId = backgroundOf(this.workspace.scene.classes);
    switch (action.type) {
      case "accept":
        if (this.aim) this.answer(this.aim, this.aim.classId, "click");
        else this.#explain();
        return true;
      case "reject":
        if (this.aim && backgroundId >= 0) this.answer(this.aim, backgroundId, "click");
        else this.#explain();
        return true;
      case "complete":
        this.setComplete();
        return true;
      case "ask":
        this.review.toggle();
        return true;
      case "brush":
      case "eraser":
        return true;
      default:
        return false;
    }
  }

  stop() {
    this.turn += 1;
    this.workspace.stage.overDots = null;
  }

  #explain() {
    this.workspace.toasts.show("Move the cursor to an object that was found: a accepts it, d rejects it.");
  }

  /** @param {CanvasRenderingContext2D} context @param {import("./types.js").View} view @param {import("./types.js").Size} size */
  #paint(context, view, size) {
    const { display, scene } = this.workspace;
    const { objects, said, usual, aim } = this;
    if (!display.overlay) return;
    const colours = new Map(scene.classes.map((label) => [label.id, label.colour]));
    const isRoomy = fits(usual, view.scale, objects.length);
    drawObjects(context, view, size, objects, said, { colours, isRoomy });
    if (aim) drawAim(context, view, aim);
  }
}
