// @ts-check
import { isCounting, setDisplay } from "../state/page.js";
import { h } from "../widgets/dom.js";
import { lastWords } from "../widgets/messages.js";

/** @typedef {import("./tool.js").ToolParts} ToolParts */

/** Marks images done, in a project that counts all marked, and leads on to the next. */
export class Finishing {
  /**
   * @param {Pick<ToolParts, "store" | "labelling" | "navigator" | "toasts" | "routes"> & {
   *   completion: Pick<import("./completing.js").Completion, "set"> | null}} parts completion: null in a project of masks
   */
  constructor({ store, labelling, navigator, completion, toasts, routes }) {
    this.store = store;
    this.labelling = labelling;
    this.navigator = navigator;
    this.completion = completion;
    this.toasts = toasts;
    this.routes = routes;
  }

  /** Done, and on to the next. */
  finish() {
    const { completion, navigator } = this;
    const { labelled, scene } = this.store.state;
    const { image, state, isComplete } = labelled;
    if (!image || this.#isAnotherComing("Enter")) return;
    if (completion ? isComplete : state === "done") {
      const { next_id: nextId } = scene.open;
      if (navigator.step(1)) return;
      if (nextId === null) this.sayLast();
      else navigator.go(nextId);
    } else if (completion) completion.set(true, () => this.#onward());
    else {
      this.labelling.record("state", { state: "done" });
      this.#onward();
    }
  }

  /** In a project that counts: all objects are marked, or they are not. */
  complete() {
    this.completion?.set();
  }

  /** The imported mask becomes that of the image, as it is. @param {boolean} isDone whether the image is done with it */
  take(isDone) {
    if (isDone && this.#isAnotherComing("Use it and mark done")) return;
    this.labelling.record("take", { done: isDone });
    setDisplay(this.store, { mode: "mask", overlay: true });
    if (isDone) this.#onward();
  }

  reopen() {
    this.labelling.record("state", { state: "in_progress" });
  }

  /** To the next image that is left, in import order. */
  goToOpen() {
    const { next_id: nextId } = this.store.state.scene.open;
    if (nextId !== null) this.navigator.go(nextId);
  }

  /** Say what is left to do where no image follows, and lead there. */
  sayLast() {
    const { navigator, toasts } = this;
    const { labelled, scene } = this.store.state;
    if (!scene.image) return;
    const { count, next_id: nextId } = scene.open;
    const counts = isCounting(this.store.state);
    const isOpen = counts ? !labelled.isComplete : labelled.state !== "done";
    const words = lastWords({ isOpen, nOpen: count, nImages: scene.n_images });
    if (nextId !== null) {
      const go = () => navigator.go(nextId);
      toasts.show(words, "good", [h("button", { type: "button", class: "button text", click: go }, "Go to the next open image")]);
    } else {
      const pages = isOpen ? [] : counts ? ["Count", "Train"] : ["Export", "Train"];
      toasts.show(words, "good", pages.map((page) => h("a", { class: "button text", href: this.routes.page(page, scene), target: "_self" }, page)));
    }
  }

  /** Whether another image was asked for and is not here yet; says so. @param {string} what was pressed */
  #isAnotherComing(what) {
    const { loading, labelled } = this.store.state;
    const shown = labelled.image?.id;
    if (loading === null && (this.navigator.wanted ?? shown) === shown) return false;
    this.toasts.show(`The image you asked for is on its way: ${what} is for the one you see.`);
    return true;
  }

  /** The image is done: on to the next, or say what is left. */
  #onward() {
    if (this.store.state.scene.open.count === 0 || !this.navigator.step(1)) this.sayLast();
  }
}
