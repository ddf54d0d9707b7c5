// @ts-check
import { render, renderCursor } from "../render.js";
import { drawAim, drawObjects, fits } from "../view/numbers.js";
import { classByPixel, meant, pixelOf, readCounts, readObjects, spacing, standing } from "../state/objects.js";
import { backgroundOf } from "../view/overlay.js";
import { Review } from "./review.js";
import { counted, leftOpen } from "../widgets/messages.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */
/** @typedef {import("../types.js").Found} Found */

const RETRY_MS = 2000;
/** Who says that all is marked while the image is still being counted waits so long at most. */
const COUNTED_MS = 5000;
const WORDS_MS = 500;
const LOOK_MS = 60;

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
    /** The request whose answer is here. */
    this.fetched = 0;
    /** Rises with every wait for a count: the one before is not meant any more. */
    this.wait = 0;
    /** @type {Found[]} */
    this.objects = [];
    /** @type {Map<number, import("../state/objects.js").ClassCount>} */
    this.counts = new Map();
    /** @type {import("../state/objects.js").Standing[]} */
    this.said = [];
    this.usual = Infinity;
    /** The object under the cursor. @type {Found | null} */
    this.aim = null;
    this.review = new Review(this);
    if (isOn) workspace.stage.overDots = (context, view, size) => this.#paint(context, view, size);
  }

  /** News of the image shown: the counts come at once, the objects are fetched. @param {import("../types.js").Meta} meta */
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
      this.fetched = turn;
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
    this.fetched = this.turn += 1;
    this.overlay = 0;
    this.objects = [];
    this.counts = new Map();
    this.said = [];
    this.aim = null;
    this.review.arrived();
  }

  /** Bring what is shown in line with the points. @param {readonly import("../types.js").StoredPoint[]} points */
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

  /** Labelled pixels of the image, by class id: a second point on a pixel is no second object. */
  marked() {
    const tally = new Map();
    for (const classId of classByPixel(this.workspace.labelling.now().points).values()) tally.set(classId, (tally.get(classId) ?? 0) + 1);
    return tally;
  }

  /** Whether a click would mark what is marked already, which is said. @param {import("../state/objects.js").Pixel} pixel @param {number} classId */
  isMarked({ row, col }, classId) {
    if (!this.isOn || classByPixel(this.workspace.labelling.now().points).get(`${row},${col}`) !== classId) return false;
    this.workspace.toasts.show("This pixel is marked already: it counts once.");
    return true;
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
   * Say that all objects of the image are marked, or that they are not. Asks first while some were found that nobody
   * accepted; waits until the image is counted.
   * @param {boolean} [complete]
   * @param {() => void} [then] what follows once it is said
   */
  setComplete(complete = !this.workspace.labelling.now().isComplete, then = () => {}) {
    const { labelling, popovers, toolbar } = this.workspace;
    if (!complete) labelling.record("complete", { complete });
    else if (popovers.open?.anchor === toolbar.done) popovers.close();
    else if (this.#isCounted()) this.#askAll(then);
    else this.#wait(then);
  }

  /** Whether what was found is known, with everything that was clicked. */
  #isCounted() {
    const { labelling, meta } = this.workspace;
    return meta !== null && meta.phase !== "encoding" && meta.phase !== "fitting" && labelling.isCovered(meta.covers) && this.fetched === this.turn;
  }

  /** @param {() => void} then */
  async #wait(then) {
    const { labelling, toasts } = this.workspace;
    const { image, log } = labelling;
    const [turn, seq, begun] = [(this.wait += 1), log.lastSeq, Date.now()];
    const isMeant = () => turn === this.wait && labelling.image?.id === image?.id && log.lastSeq === seq;
    let isSaid = false;
    while (isMeant() && !this.#isCounted() && Date.now() - begun < COUNTED_MS) {
      if (!isSaid && Date.now() - begun > WORDS_MS) toasts.show("Counting this image first…");
      isSaid ||= Date.now() - begun > WORDS_MS;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (isMeant()) this.#askAll(then);
  }

  /** @param {() => void} then */
  #askAll(then) {
    const { labelling, popovers, toasts, toolbar } = this.workspace;
    const open = this.open();
    const nMarked = this.nMarked();
    const none = () => {
      labelling.record("complete", { complete: true });
      if (open.length && nMarked) toasts.show(leftOpen(labelling.image?.name ?? "", nMarked, open.length));
      then();
    };
    const accept = () => {
      this.acceptAll(open);
      then();
    };
    const about = () => [this.open().length, this.nMarked()];
    if (open.length) {
      const found = `${counted(open.length, "object")} found here ${open.length === 1 ? "is" : "are"} not accepted`;
      const answers = [
        { text: `Accept all ${open.length}`, act: accept },
        { text: open.length === 1 ? "Review it" : "Review them", act: () => this.review.isOn || this.review.enter() },
        { text: open.length === 1 ? "It is none" : "They are none", class: "danger", act: none },
      ];
      popovers.ask(toolbar.done, nMarked ? `${found}. What are they?` : `${found}, and none is marked. What are they?`, answers, about);
    } else if (nMarked || this.#isCounted()) none();
    else popovers.ask(toolbar.done, "This image is not counted yet. Say that there are no objects?", [{ text: "No objects here", class: "danger", act: none }], about);
  }

  /** Mark the centres of objects, and say that with them all is marked: one event, which one undo takes back. @param {readonly Found[]} objects */
  acceptAll(objects) {
    const { labelling } = this.workspace;
    const { image } = labelling;
    if (!image || !objects.length) return;
    const points = objects.map((object) => /** @type {const} */ ([pixelOf(object, image), object.classId]));
    labelling.record("accept", { points: points.map(([{ row, col }, classId]) => [row, col, classId]), complete: true });
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

  /** @param {CanvasRenderingContext2D} context @param {import("../types.js").View} view @param {import("../types.js").Size} size */
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
