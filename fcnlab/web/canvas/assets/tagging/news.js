// @ts-check
/** @typedef {import("./tagging.js").News} News */

/** While suggestions are behind the answers, while images are looked at, and else. */
const SOON_MS = 300;
const LOOKING_MS = 1500;
const CALM_MS = 6000;
/** A server that needs long to say it is asked less often. */
const TIMES_AS_LONG = 4;

/** Follows what the server says of the images that are shown now and soon. */
export class NewsFollower {
  /**
   * @param {object} parts
   * @param {() => string} parts.address of what is wanted now
   * @param {() => number} parts.heard how far the server heard of this tab
   * @param {(news: News, heard: number) => void} parts.onNews
   * @param {(words: string) => void} parts.onGone
   * @param {typeof fetch} [parts.fetch]
   */
  constructor(parts) {
    this.parts = parts;
    this.fetch = parts.fetch ?? ((url, options) => fetch(url, options));
    /** @type {ReturnType<typeof setTimeout> | undefined} */
    this.timer = undefined;
    this.isUnderWay = false;
    this.isWanted = false;
    this.stopped = false;
  }

  /** Ask now, or as soon as the answer under way is here. */
  ask() {
    this.isWanted = true;
    if (!this.isUnderWay && !this.stopped) void this.#ask();
  }

  stop() {
    this.stopped = true;
    clearTimeout(this.timer);
  }

  async #ask() {
    clearTimeout(this.timer);
    this.isUnderWay = true;
    this.isWanted = false;
    const heard = this.parts.heard();
    const began = performance.now();
    let waitMs = CALM_MS / 2;
    try {
      const response = await this.fetch(this.parts.address(), { cache: "no-store" });
      if (this.stopped) return;
      if (response.status === 410) {
        this.stop();
        this.parts.onGone((await response.text()).slice(0, 300));
        return;
      }
      if (response.ok) {
        /** @type {News} */
        const news = await response.json();
        if (this.stopped) return;
        const isLooking = news.looked < news.total && !news.message;
        waitMs = news.behind ? SOON_MS : isLooking ? LOOKING_MS : CALM_MS;
        waitMs = Math.max(waitMs, TIMES_AS_LONG * (performance.now() - began));
        this.parts.onNews(news, heard);
      }
    } catch (fault) {
      if (!(fault instanceof TypeError)) console.error(fault); // what cannot be reached is asked again
    } finally {
      this.isUnderWay = false;
    }
    if (this.isWanted) void this.#ask();
    else if (!this.stopped) this.timer = setTimeout(() => this.#tick(), waitMs);
  }

  /** Nobody looks at a hidden tab. */
  #tick() {
    if (document.hidden) this.timer = setTimeout(() => this.#tick(), CALM_MS);
    else void this.#ask();
  }
}
