// @ts-check
import { reverse } from "./actions.js";
import { render } from "../render.js";
import { leastSure } from "../state/objects.js";
import { backgroundOf } from "../view/overlay.js";
import { ReviewBar } from "../widgets/reviewbar.js";

/** @typedef {import("./counting.js").Counting} Counting */
/** @typedef {import("../types.js").Found} Found */
/** @typedef {{object: Found, isAnswer: boolean}} Step */

/** What is free above and below the bar. */
const FREE_PX = 26;

/** A walk through the objects that nobody confirmed, the least sure one first; one key answers each. */
export class Review {
  /** @param {Counting} counting */
  constructor(counting) {
    this.counting = counting;
    this.isOn = false;
    /** The object in the ring. @type {Found | null} */
    this.current = null;
    /** What was done with those before. @type {Step[]} */
    this.steps = [];
    /** What was taken back, the last one first. @type {Step[]} */
    this.undone = [];
    /** Number of the newest event of ours: undo of a later one is not a step back. */
    this.seq = 0;
    this.bar = new ReviewBar(this);
  }

  get #workspace() {
    return this.counting.workspace;
  }

  toggle() {
    if (this.isOn) this.leave();
    else this.enter();
  }

  enter() {
    if (!this.#workspace.labelling.image) return;
    this.#workspace.popovers.close();
    this.isOn = true;
    this.arrived();
  }

  leave() {
    this.isOn = false;
    this.#go(null);
    this.#workspace.stage.coveredPx = 0;
    this.#workspace.stage.fit();
  }

  /** Another image is on the screen: begin anew there. */
  arrived() {
    this.steps = [];
    this.undone = [];
    this.seq = this.#workspace.labelling.newest.seq;
    if (this.isOn) this.#next();
  }

  /** The objects were counted anew: the one in the ring stays until it is answered. */
  refresh() {
    if (this.isOn && !this.current) this.#next();
  }

  /** How many objects are left to look at, the one in the ring too. */
  nLeft() {
    const { counting, current } = this;
    const passed = this.#passed();
    const left = counting.open().filter((one) => leastSure([one], passed, counting.usual) !== null);
    return Math.max(left.length, current ? 1 : 0);
  }

  /** @param {number} classId the background: it is no object */
  answer(classId) {
    const { current } = this;
    if (!current || this.#workspace.labelling.now().state === "done") return;
    this.#step({ object: current, isAnswer: true });
    this.counting.answer(current, classId, "query");
    this.seq = this.#workspace.labelling.newest.seq;
    this.#next();
  }

  /** It is what the counter says. */
  accept() {
    if (this.current) this.answer(this.current.classId);
  }

  /** It is no object. */
  reject() {
    const background = backgroundOf(this.#workspace.scene.classes);
    if (background >= 0) this.answer(background);
  }

  skip() {
    if (!this.current) return;
    this.#step({ object: this.current, isAnswer: false });
    this.#next();
  }

  /** Back to the object before; what was done outside the walk is undone as ever. */
  back() {
    const { labelling } = this.#workspace;
    const step = labelling.newest.seq <= this.seq ? this.steps.pop() : undefined;
    if (step) this.undone.push(step);
    if (!step || step.isAnswer) this.#record("undo");
    if (step) this.#go(step.object);
  }

  forward() {
    const step = this.undone.pop();
    if (step) this.steps.push(step);
    if (!step || step.isAnswer) this.#record("redo");
    if (step) this.#next();
  }

  /**
   * What a key means while the walk is on.
   * @param {import("./keys.js").Action} action
   * @returns {boolean} whether it means anything here
   */
  perform(action) {
    const { workspace } = this.counting;
    switch (action.type) {
      case "accept":
      case "reject":
      case "skip":
        this[action.type]();
        return true;
      case "class": {
        const label = workspace.scene.classes[action.number - 1];
        if (label && this.current) this.answer(label.id);
        return label !== undefined && this.current !== null;
      }
      case "undo":
        this.back();
        return true;
      case "redo":
        this.forward();
        return true;
      case "fit":
        if (!this.current || !workspace.stage.isFitted) return false;
        this.#approach();
        return true;
      case "escape":
        if (!workspace.popovers.close()) this.leave();
        return true;
      case "swap":
        return true;
      default:
        return false;
    }
  }

  /** Show what the walk asks. */
  update() {
    this.bar.update();
    if (this.isOn) this.#workspace.stage.coveredPx = this.bar.element.offsetHeight + FREE_PX;
  }

  #next() {
    const { counting } = this;
    this.#go(leastSure(counting.open(), this.#passed(), counting.usual));
  }

  /** @param {Found | null} object */
  #go(object) {
    const { stage } = this.#workspace;
    this.current = object;
    stage.setRing(object);
    render(this.#workspace);
    if (object) this.#approach();
    else if (this.isOn) stage.fit();
  }

  #approach() {
    if (this.current) this.#workspace.stage.approach(this.current);
  }

  #passed() {
    return this.steps.map((step) => step.object);
  }

  /** @param {Step} step */
  #step(step) {
    this.steps.push(step);
    this.undone = [];
  }

  /** @param {"undo" | "redo"} kind */
  #record(kind) {
    const { labelling } = this.#workspace;
    reverse(this.#workspace, kind);
    this.seq = labelling.newest.seq;
  }
}
