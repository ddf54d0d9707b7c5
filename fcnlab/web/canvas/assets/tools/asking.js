// @ts-check
import { reverse } from "./actions.js";
import { render } from "../render.js";
import { QueryWalk } from "../state/walk.js";

/** @typedef {import("../workspace.js").Workspace} Workspace */
/** @typedef {"off" | "waiting" | "asking" | "over" | "done" | "none" | "failed"} Phase */
/** @typedef {"margin" | "random"} How */

export const ROUND = 10;
const RETRY_MS = 2500;
const LOOK_MS = 60;
/** What is free above and below the prompt. */
const FREE_PX = 26;
/** So many pixels that were passed over are named to the server, the last ones. */
const AVOIDED_MOST = 400;

/** Query mode: the page walks from one asked pixel to the next, one key answers each. */
export class Asking {
  /** @param {Workspace} workspace */
  constructor(workspace) {
    this.workspace = workspace;
    /** @type {Phase} */
    this.phase = "off";
    /** @type {How} */
    this.how = "margin";
    this.walk = new QueryWalk();
    /** Pixels of this image passed over before. @type {number[][]} */
    this.passed = [];
    this.problem = "";
    /** Whether the mask is shown while a pixel is asked: by itself it is not, so that it sways nobody. */
    this.isMaskShown = false;
    /** Number of the newest event of ours: undo of a later one is not a step back. */
    this.seq = 0;
    /** Rises with every request: answers to older ones come too late. */
    this.turn = 0;
  }

  get isOn() {
    return this.phase !== "off";
  }

  /** Whether the mask is hidden now. */
  get hidesMask() {
    return this.phase === "asking" && !this.isMaskShown;
  }

  toggle() {
    if (this.isOn) this.leave();
    else this.enter();
  }

  enter() {
    this.workspace.popovers.close();
    this.isMaskShown = false;
    this.arrived();
  }

  leave() {
    this.stop();
    this.#become("off");
    this.workspace.stage.fit();
  }

  /** Answers on their way come too late. */
  stop() {
    this.turn += 1;
  }

  /** Another image is on the screen: begin anew there. */
  arrived() {
    const { image, newest } = this.workspace.labelling;
    if (!image) return;
    this.walk = new QueryWalk();
    this.passed = this.workspace.passedOver.of(image.id);
    this.seq = newest.seq;
    if (this.workspace.labelling.now().state === "done") this.#become("done");
    else this.more();
  }

  /** The image was marked done or reopened. @param {import("../types.js").ImageState} state */
  follow(state) {
    if (!this.isOn || (this.phase === "done") === (state === "done")) return;
    this.stop();
    this.arrived();
  }

  /** Ask the server for a further round, by the newest mask. */
  async more() {
    const { workspace } = this;
    const turn = (this.turn += 1);
    const image = workspace.labelling.image;
    if (!image) return;
    this.#become("waiting");
    try {
      await this.#settled(turn);
      const url = workspace.routes.queries({ imageId: image.id, count: ROUND, how: this.how, avoid: this.#avoided() });
      const response = turn === this.turn ? await fetch(url, { cache: "no-store" }) : null;
      if (!response || turn !== this.turn) return;
      if (response.status >= 400 && response.status !== 500) {
        this.#fail(await response.text());
        return;
      }
      if (!response.ok) throw new Error(`answer ${response.status}`);
      const { source, pixels } = await response.json();
      if (turn !== this.turn) return;
      if (!pixels.length) {
        this.#become("none");
        return;
      }
      this.walk.extend(pixels.map((/** @type {number[]} */ [row, col]) => ({ row, col, source })));
      this.#show();
    } catch {
      if (turn !== this.turn) return;
      this.#fail("The server does not answer. Trying again…");
      setTimeout(() => turn === this.turn && this.isOn && this.more(), RETRY_MS);
    }
  }

  /** @param {How} how draw what is not asked yet otherwise */
  setHow(how) {
    if (how === this.how) return;
    this.how = how;
    if (this.phase === "done") return;
    this.walk.cut();
    this.more();
  }

  /** @param {number} classId */
  answer(classId) {
    const { current } = this.walk;
    if (this.phase !== "asking" || !current) return;
    const { row, col, source } = current;
    this.#record("add", { row, col, class_id: classId, source });
    this.walk.go("answer");
    this.#show();
  }

  /** @param {"skip" | "unsure"} act */
  pass(act) {
    if (this.phase !== "asking") return;
    this.walk.go(act);
    this.#keepPassed();
    this.#show();
  }

  /** Back to the pixel before; what was done outside query mode is undone as ever. */
  back() {
    const { labelling } = this.workspace;
    const isOurs = labelling.newest.seq <= this.seq;
    const act = isOurs ? this.walk.back() : null;
    if (act !== "skip" && act !== "unsure") this.#record("undo");
    if (act) this.#show();
    this.#keepPassed();
  }

  forward() {
    const act = this.walk.forward();
    if (act !== "skip" && act !== "unsure") this.#record("redo");
    if (act) this.#show();
    this.#keepPassed();
  }

  /** On to the image that promises most. */
  async nextImage() {
    if (this.phase === "waiting" || this.phase === "asking") return;
    const { workspace } = this;
    const own = workspace.labelling.image?.id;
    try {
      const response = await fetch(workspace.routes.ranked(0, 2), { cache: "no-store" });
      if (!response.ok) throw new Error(`answer ${response.status}`);
      const { items } = await response.json();
      const next = items.find((/** @type {any} */ item) => item.id !== own && item.state !== "done");
      if (!this.isOn || workspace.labelling.image?.id !== own) return;
      if (next) workspace.navigator.go(next.id);
      else workspace.toasts.show("All other images are done.");
    } catch {
      workspace.toasts.show("The server does not answer. Try again.", "bad");
    }
  }

  /**
   * What a key means in query mode.
   * @param {import("./keys.js").Action} action
   * @returns {boolean} whether it means anything here
   */
  perform(action) {
    switch (action.type) {
      case "class": {
        const label = this.workspace.scene.classes[action.number - 1];
        if (label) this.answer(label.id);
        return label !== undefined;
      }
      case "skip":
      case "unsure":
        this.pass(action.type);
        return true;
      case "undo":
        this.back();
        return true;
      case "redo":
        this.forward();
        return true;
      case "done":
        this.nextImage();
        return true;
      case "more":
        if (this.phase === "over" || this.phase === "failed") this.more();
        return true;
      case "overlay":
        if (this.phase !== "asking") return false;
        this.isMaskShown = !this.isMaskShown;
        this.workspace.show({});
        return true;
      case "fit":
        if (this.phase !== "asking" || !this.workspace.stage.isFitted) return false;
        this.#approach();
        return true;
      case "escape":
        if (!this.workspace.popovers.close()) this.leave();
        return true;
      case "swap":
        return true;
      default:
        return false;
    }
  }

  #show() {
    const isOver = this.walk.current === null;
    this.#become(isOver ? "over" : "asking");
    if (isOver) this.workspace.stage.fit();
    else this.#approach();
  }

  #approach() {
    const { current } = this.walk;
    if (current) this.workspace.stage.approach(current);
  }

  /** @param {Phase} phase */
  #become(phase) {
    const { workspace, hidesMask } = this;
    this.phase = phase;
    workspace.stage.setRing(phase === "asking" ? this.walk.current : null);
    if (this.hidesMask === hidesMask) render(workspace);
    else workspace.show({});
    workspace.stage.coveredPx = this.isOn ? workspace.prompt.element.offsetHeight + FREE_PX : 0;
  }

  /** @param {string} problem */
  #fail(problem) {
    this.problem = problem;
    this.#become("failed");
  }

  /** @param {"add" | "undo" | "redo"} kind @param {Record<string, any>} [payload] */
  #record(kind, payload) {
    if (kind === "add") this.workspace.labelling.record(kind, payload);
    else reverse(this.workspace, kind);
    this.seq = this.workspace.labelling.newest.seq;
  }

  /** Wait until the server knows every click: it will choose by the mask these make. @param {number} turn */
  async #settled(turn) {
    const { log } = this.workspace.labelling;
    while (log.pending.length && turn === this.turn) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  #avoided() {
    return [...this.passed, ...this.#passedNow()].slice(-AVOIDED_MOST);
  }

  #keepPassed() {
    const image = this.workspace.labelling.image;
    if (image) this.workspace.passedOver.keep(image.id, this.#avoided());
  }

  #passedNow() {
    return this.walk.passed().map(({ row, col }) => [row, col]);
  }
}
