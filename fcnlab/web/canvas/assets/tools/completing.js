// @ts-check
import { pixelOf } from "../state/objects.js";
import { counted, leftOpen } from "../widgets/messages.js";

/** @typedef {import("./tool.js").ToolParts} ToolParts */
/** @typedef {import("../types.js").Found} Found */

/** Who says that all is marked while the image is still being counted waits so long at most. */
const COUNTED_MS = 5000;
const WORDS_MS = 500;
const LOOK_MS = 60;

/** Says, in a project that counts, that all objects of an image are marked, and asks first about those nobody accepted. */
export class Completion {
  /**
   * @param {Pick<ToolParts, "store" | "labelling" | "toolbox" | "popovers" | "toasts"> & {
   *   counting: import("./counting.js").CountingTool, anchor: () => Element}} parts anchor: what the question is shown at
   */
  constructor({ store, labelling, counting, toolbox, popovers, toasts, anchor }) {
    this.store = store;
    this.labelling = labelling;
    this.counting = counting;
    this.toolbox = toolbox;
    this.popovers = popovers;
    this.toasts = toasts;
    this.anchor = anchor;
    /** Rises with every press: a wait for a count that began before is not meant any more. */
    this.turn = 0;
  }

  /**
   * Say that all objects of the image are marked, or that they are not. Asks first while some were found that nobody
   * accepted; waits until the image is counted.
   * @param {boolean} [complete]
   * @param {() => void} [then] what follows once it is said
   */
  set(complete = !this.store.state.labelled.isComplete, then = () => {}) {
    const { popovers } = this;
    this.turn += 1; // whoever still waits for a count would close the question that is asked now
    if (!complete) this.labelling.record("complete", { complete });
    else if (popovers.open?.anchor === this.anchor()) popovers.close();
    else if (this.#isCounted()) this.#ask(then);
    else this.#wait(then);
  }

  /** Whether what was found is known, with everything that was clicked. */
  #isCounted() {
    const { meta } = this.store.state;
    if (meta === null || meta.phase === "encoding" || meta.phase === "fitting") return false;
    return this.labelling.isCovered(meta.covers) && this.counting.isFetched;
  }

  /** @param {() => void} then */
  async #wait(then) {
    const { labelling, toasts } = this;
    const { image, log } = labelling;
    const [turn, seq, begun] = [this.turn, log.lastSeq, Date.now()];
    const isMeant = () => turn === this.turn && labelling.image?.id === image?.id && log.lastSeq === seq;
    let isSaid = false;
    while (isMeant() && !this.#isCounted() && Date.now() - begun < COUNTED_MS) {
      if (!isSaid && Date.now() - begun > WORDS_MS) toasts.show("Counting this image first…");
      isSaid ||= Date.now() - begun > WORDS_MS;
      await new Promise((resolve) => setTimeout(resolve, LOOK_MS));
    }
    if (isMeant()) this.#ask(then);
  }

  /** @param {() => void} then */
  #ask(then) {
    const { counting, labelling, popovers, toasts, toolbox } = this;
    const open = counting.open();
    const nMarked = counting.nMarked();
    const none = () => {
      labelling.record("complete", { complete: true });
      if (open.length && nMarked) toasts.show(leftOpen(labelling.image?.name ?? "", nMarked, open.length));
      then();
    };
    const accept = () => {
      this.acceptAll(open);
      then();
    };
    const about = () => [counting.open().length, counting.nMarked()];
    if (open.length) {
      const found = `${counted(open.length, "object")} found here ${open.length === 1 ? "is" : "are"} not accepted`;
      const answers = [
        { text: `Accept all ${open.length}`, act: accept },
        { text: open.length === 1 ? "Review it" : "Review them", act: () => toolbox.choose("review") },
        { text: open.length === 1 ? "It is none" : "They are none", class: "danger", act: none },
      ];
      popovers.ask(this.anchor(), nMarked ? `${found}. What are they?` : `${found}, and none is marked. What are they?`, answers, about);
    } else if (nMarked || this.#isCounted()) none();
    else {
      const answers = [{ text: "No objects here", class: "danger", act: none }];
      popovers.ask(this.anchor(), "This image is not counted yet. Say that there are no objects?", answers, about);
    }
  }

  /** Mark the centres of objects, and say that with them all is marked: one event, which one undo takes back. @param {readonly Found[]} objects */
  acceptAll(objects) {
    const { image } = this.labelling;
    if (!image || !objects.length) return;
    const points = objects.map((object) => {
      const { row, col } = pixelOf(object, image);
      return [row, col, object.classId];
    });
    this.labelling.record("accept", { points, complete: true });
  }

  stop() {
    this.turn += 1;
  }
}
