// @ts-check
import { referenceOf } from "../state/modes.js";

/** @typedef {import("../types.js").ImageInfo} ImageInfo */
/** @typedef {import("../types.js").Mode} Mode */
/** @typedef {import("../types.js").Overlay} Overlay */

/** Fetches the masks to hold beside the one shown; an answer that is not wanted any more is dropped. */
export class References {
  /**
   * @param {object} parts
   * @param {(imageId: number, kind: "imported" | "prediction") => string} parts.address
   * @param {(reference: Overlay | null) => void} parts.onReference null while one is on its way
   * @param {(message: string) => void} parts.onTrouble
   * @param {typeof fetch} [parts.fetch]
   */
  constructor(parts) {
    this.parts = parts;
    this.fetch = parts.fetch ?? ((url, options) => fetch(url, options));
    /** Image and kind of the mask that is wanted, whatever it is shown for; "" for none. */
    this.wish = "";
    /** The mode it was last wanted for. @type {Mode | null} */
    this.mode = null;
    /** What was wanted did not come: it is asked for again when somebody chooses anew, and not at every click. */
    this.hasFailed = false;
    /** Rises with every wish: an answer to an earlier one comes too late. */
    this.turn = 0;
    this.number = 0;
  }

  /** @param {ImageInfo | null} image @param {Mode} mode */
  follow(image, mode) {
    const kind = image && referenceOf(mode, image);
    const wish = kind ? `${image.id} ${kind}` : "";
    const isAgain = this.hasFailed && mode !== this.mode;
    this.mode = mode;
    if (wish === this.wish && !isAgain) return;
    this.wish = wish;
    this.hasFailed = false;
    this.turn += 1;
    this.parts.onReference(null);
    if (kind) void this.#load(image.id, kind, this.turn);
  }

  /** @param {number} imageId @param {"imported" | "prediction"} kind @param {number} turn */
  async #load(imageId, kind, turn) {
    try {
      const response = await this.fetch(this.parts.address(imageId, kind), { cache: "no-store" });
      if (!response.ok) throw new Error((await response.text()).slice(0, 300));
      const { width, height } = JSON.parse(response.headers.get("X-Fcnlab-Meta") ?? "");
      const values = new Uint8Array(await response.arrayBuffer());
      if (turn !== this.turn) return;
      this.number += 1;
      const patch = { top: 0, left: 0, height, width };
      this.parts.onReference({ imageId, mode: kind, classId: 0, number: this.number, covers: 0, width, height, values, base: -1, patch });
    } catch (fault) {
      if (turn !== this.turn) return;
      this.hasFailed = true;
      this.parts.onTrouble(fault instanceof Error && fault.message ? fault.message : "The mask did not come; choose it again.");
    }
  }

  stop() {
    this.turn += 1;
  }
}
