// @ts-check
/** @typedef {import("../types.js").ImageInfo} ImageInfo */

const RESEND_MS = 2000;
const MAX_SENDS = 8;

/** Asks the server for another image until it comes. */
export class ImageNavigator {
  /**
   * @param {(value: {image_id: number, n: number}) => void} send
   * @param {import("../widgets/strip.js").Strip} strip knows which image is where
   */
  constructor(send, strip) {
    this.send = send;
    this.strip = strip;
    /** @type {ImageInfo | null} */
    this.image = null;
    /** @type {number | null} */
    this.wanted = null;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
  }

  /** The image the server has sent. @param {ImageInfo | null} image */
  arrived(image) {
    this.image = image;
    if (image?.id !== this.wanted) return;
    this.wanted = null;
    clearTimeout(this.timer);
  }

  /** @param {number} imageId */
  go(imageId) {
    if (imageId === (this.wanted ?? this.image?.id)) return;
    clearTimeout(this.timer);
    this.wanted = imageId;
    this.#ask(imageId, 1);
  }

  /** @param {1 | -1} step @returns {boolean} whether there is an image that way */
  step(step) {
    if (!this.image) return false;
    if (this.wanted !== null) {
      // The answer to the last step is still on its way: count on from there.
      const position = this.strip.positionOf(this.wanted);
      const id = position === null ? null : this.strip.idAt(position + step);
      if (id !== null) this.go(id);
      return true;
    }
    const here = this.strip.placed(this.image);
    const id = step > 0 ? here.next_id : here.previous_id;
    if (id === null) return false;
    this.go(id);
    return true;
  }

  stop() {
    clearTimeout(this.timer);
  }

  /** @param {number} imageId @param {number} nSends */
  #ask(imageId, nSends) {
    this.send({ image_id: imageId, n: Date.now() });
    if (nSends >= MAX_SENDS) return;
    this.timer = setTimeout(() => this.#ask(imageId, nSends + 1), RESEND_MS);
  }
}
