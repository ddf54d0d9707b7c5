// @ts-check
import { WalkTool } from "./walking.js";

/** @typedef {{row: number, col: number, source: "query" | "random_query"}} Query */
/** @typedef {"waiting" | "asking" | "over" | "done" | "none" | "failed"} Phase */
/** @typedef {"margin" | "random"} Strategy */
/**
 * @typedef {object} QueryState
 * @property {Phase} phase
 * @property {Strategy} strategy
 * @property {string} problem what the server said, when it failed
 * @property {Query | null} asked
 * @property {{number: number, of: number}} place of the pixel in its round
 * @property {{answer: number, skip: number, unsure: number}} tally of the round
 * @property {boolean} canGoBack
 */

const RETRY_MS = 2500;
const LOOK_MS = 60;

/**
 * Query mode: the page walks from one asked pixel to the next, one key answers each.
 * @extends {WalkTool<Query>}
 */
export class QueryTool extends WalkTool {
  /**
   * @param {Pick<import("./tool.js").ToolParts,
   *   "store" | "labelling" | "toolbox" | "navigator" | "stage" | "popovers" | "toasts" | "routes" | "fetch">
   *   & {passedOver: import("../state/settings.js").PassedOver}} parts
   */
  constructor({ routes, passedOver, navigator, fetch: load, ...parts }) {
    super(parts);
    this.routes = routes;
    this.passedOver = passedOver;
    this.navigator = navigator;
    this.fetch = load ?? ((url, options) => fetch(url, options));
    /** @type {Phase} */
    this.phase = "waiting";
    /** @type {Strategy} */
    this.strategy = "margin";
    /** Pixels of this image passed over before. @type {number[][]} */
    this.passed = [];
    this.problem = "";
    this.isMaskShown = false;
    /** Rises with every request: answers to older ones come too late. */
    this.turn = 0;
  }

  get isOn() {
    return this.store.state.tool === "query";
  }

  onEnter() {
    this.popovers.close();
    this.isMaskShown = false;
    this.arrived();
  }

  onLeave() {
    this.stop();
    this.stage.setRing(null);
    this.store.set({ query: null, isMaskHidden: false });
    this.stage.fit();
  }

  /** Answers on their way come too late. */
  stop() {
    this.turn += 1;
  }

  /** Begin anew, on the image shown. */
  arrived() {
    const { image, state } = this.store.state.labelled;
    this.restart();
    if (!image) return;
    this.passed = this.passedOver.of(image.id);
    if (state === "done") this.#become("done");
    else this.more();
  }

  /** Another image is shown, or it was marked done or reopened: begin anew. */
  follow() {
    const { image, state } = this.store.state.labelled;
    if (!this.isOn) return;
    if (image?.id === this.imageId && (this.phase === "done") === (state === "done")) return;
    this.stop();
    this.arrived();
  }

  /** Ask the server for a further round, by the newest mask. */
  async more() {
    const turn = (this.turn += 1);
    const { image } = this.store.state.labelled;
    if (!image) return;
    this.#become("waiting");
    try {
      await this.#settled(turn);
      const { queries: count } = this.store.state.scene.constants;
      const url = this.routes.queries({ imageId: image.id, count, how: this.strategy, avoid: this.#avoided() });
      const response = turn === this.turn ? await this.fetch(url, { cache: "no-store" }) : null;
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
      this.ask();
    } catch {
      if (turn !== this.turn) return;
      this.#fail("The server does not answer. Trying again…");
      setTimeout(() => turn === this.turn && this.isOn && this.more(), RETRY_MS);
    }
  }

  /** @param {Strategy} strategy draw what is not asked yet otherwise */
  setStrategy(strategy) {
    if (strategy === this.strategy) return;
    this.strategy = strategy;
    if (this.phase === "done") return;
    this.walk.cut();
    this.more();
  }

  /** @param {number} classId */
  answer(classId) {
    const { current } = this.walk;
    if (this.phase !== "asking" || !current) return;
    this.answerWith({ row: current.row, col: current.col, class_id: classId, source: current.source });
    this.walk.go("answer");
    this.ask();
  }

  /** @param {"skip" | "unsure"} act */
  pass(act) {
    if (this.phase !== "asking") return;
    this.walk.go(act);
    this.#keepPassed();
    this.ask();
  }

  back() {
    super.back();
    this.#keepPassed();
  }

  forward() {
    super.forward();
    this.#keepPassed();
  }

  /** On to the image that promises most. */
  async nextImage() {
    if (this.phase === "waiting" || this.phase === "asking") return;
    const shownId = () => this.store.state.labelled.image?.id;
    const own = shownId();
    try {
      const response = await this.fetch(this.routes.ranked(0, 2), { cache: "no-store" });
      if (!response.ok) throw new Error(`answer ${response.status}`);
      const { items } = await response.json();
      const next = items.find((/** @type {any} */ item) => item.id !== own && item.state !== "done");
      if (!this.isOn || shownId() !== own) return;
      if (next) this.navigator.go(next.id);
      else this.toasts.show("All other images are done.");
    } catch {
      this.toasts.show("The server does not answer. Try again.", "bad");
    }
  }

  /** @param {import("./keys.js").Action} action */
  onKey(action) {
    switch (action.type) {
      case "class": {
        const label = this.store.state.scene.classes[action.number - 1];
        if (label) this.answer(label.id);
        return label !== undefined;
      }
      case "skip":
      case "unsure":
        this.pass(action.type);
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
        this.#become(this.phase);
        return true;
      default:
        return super.onKey(action);
    }
  }

  ask() {
    this.#become(this.walk.current === null ? "over" : "asking");
    this.approach();
  }

  /** @param {Phase} phase */
  #become(phase) {
    this.phase = phase;
    const { walk, strategy, problem } = this;
    const isAsking = phase === "asking";
    const asked = isAsking ? walk.current : null;
    this.stage.setRing(asked);
    this.store.set({
      query: { phase, strategy, problem, asked, place: walk.place(), tally: walk.tally(), canGoBack: walk.acts.length > 0 },
      isMaskHidden: isAsking && !this.isMaskShown,
    });
  }

  /** @param {string} problem */
  #fail(problem) {
    this.problem = problem;
    this.#become("failed");
  }

  /** Wait until the server knows every click: it will choose by the mask these make. @param {number} turn */
  async #settled(turn) {
    const { log } = this.labelling;
    while (log.pending.length && turn === this.turn) await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
  }

  /** Pixels that were passed over, the last ones: the server is told so many. */
  #avoided() {
    const now = this.walk.passed().map(({ row, col }) => [row, col]);
    return [...this.passed, ...now].slice(-this.store.state.scene.constants.avoided);
  }

  #keepPassed() {
    const { image } = this.store.state.labelled;
    if (image) this.passedOver.keep(image.id, this.#avoided());
  }
}
