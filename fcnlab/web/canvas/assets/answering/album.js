// @ts-check
const RETRY_MS = 2500;
/** Pictures and tiles kept in memory: more than are shown and fetched ahead together. */
const KEPT = 64;

/** Pictures by their address, fetched ahead, so that the next one is there when it is shown. */
export class Album {
  /** @param {() => void} onLoaded */
  constructor(onLoaded) {
    this.onLoaded = onLoaded;
    /** Last used ones last; null while on its way. @type {Map<string, HTMLImageElement | null>} */
    this.pictures = new Map();
    /** Addresses that could not be loaded, until they can be. @type {Set<string>} */
    this.failed = new Set();
    this.isOver = false;
  }

  /** The picture, if it is here already; else it is fetched. @param {string} url @returns {HTMLImageElement | null} */
  get(url) {
    const picture = this.pictures.get(url);
    if (picture === undefined) {
      this.#load(url);
      return null;
    }
    if (picture) {
      this.pictures.delete(url);
      this.pictures.set(url, picture);
    }
    return picture;
  }

  stop() {
    this.isOver = true;
    this.pictures.clear();
  }

  /** @param {string} url */
  async #load(url) {
    this.pictures.set(url, null);
    const picture = new Image();
    picture.src = url;
    try {
      await picture.decode();
    } catch {
      if (this.isOver) return;
      this.failed.add(url);
      this.onLoaded();
      setTimeout(() => {
        this.pictures.delete(url); // the next look asks again
        this.onLoaded();
      }, RETRY_MS);
      return;
    }
    if (this.isOver) return;
    this.failed.delete(url);
    this.pictures.set(url, picture);
    for (const [old, kept] of this.pictures) {
      if (this.pictures.size <= KEPT) break;
      if (kept && old !== url) this.pictures.delete(old);
    }
    this.onLoaded();
  }
}
