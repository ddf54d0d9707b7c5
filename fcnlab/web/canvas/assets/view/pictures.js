// @ts-check

const RETRY_MS = 2500;
/** A picture that takes longer dims the old one; a quicker one replaces it without a flicker. */
const PATIENCE_MS = 200;

/** Loads one picture at a time, the newest wish first, and the next one ahead. */
export class Pictures {
  /** @param {(state: "loading" | "failed" | "shown") => void} onState */
  constructor(onState) {
    this.onState = onState;
    this.turn = 0;
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    /** @type {HTMLImageElement | null} */
    this.ahead = null;
  }

  /** @param {string} url @param {(picture: HTMLImageElement) => void} use */
  async load(url, use) {
    const turn = (this.turn += 1);
    clearTimeout(this.timer);
    const slow = setTimeout(() => turn === this.turn && this.onState("loading"), PATIENCE_MS);
    const picture = new Image();
    picture.src = url;
    try {
      await picture.decode();
      if (turn !== this.turn) return;
      use(picture);
      this.onState("shown");
    } catch {
      if (turn !== this.turn) return;
      this.onState("failed");
      this.timer = setTimeout(() => this.load(url, use), RETRY_MS);
    } finally {
      clearTimeout(slow);
    }
  }

  /** Fetch what will probably be asked for next. @param {string | null} url */
  prefetch(url) {
    if (!url || this.ahead?.src === url) return;
    this.ahead = new Image();
    this.ahead.src = url;
  }

  /** Whatever is on its way is no longer wanted. */
  stop() {
    this.turn += 1;
    clearTimeout(this.timer);
  }
}
