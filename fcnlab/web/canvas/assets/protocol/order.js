// @ts-check
const EVERY_MS = 3000;

/**
 * Follows the order of the images that promise most, or which images a tag chooses. While it is worked out for the first time every news is shown;
 * later only what is complete, so that the strip does not move under the mouse.
 */
export class GainOrder {
  /**
   * @param {object} parts
   * @param {import("./routes.js").Routes} parts.routes
   * @param {(order: number[] | null, waiting: number) => void} parts.onOrder null: import order
   * @param {typeof fetch} [parts.fetch]
   * @param {(ms: number) => Promise<void>} [parts.sleep]
   * @param {() => boolean} [parts.isHidden] nobody looks at the page
   */
  constructor({ routes, onOrder, fetch: ask, sleep, isHidden }) {
    this.routes = routes;
    this.onOrder = onOrder;
    this.fetch = ask ?? ((url, options) => fetch(url, options));
    this.sleep = sleep ?? ((ms) => new Promise((resolve) => setTimeout(resolve, ms)));
    this.isHidden = isHidden ?? (() => document.hidden);
    this.turn = 0;
    /** Where the order comes from. */
    this.address = () => this.routes.ranked(0, 0);
  }

  start() {
    this.#follow((this.turn += 1));
  }

  /** Back to import order. */
  stop() {
    this.halt();
    this.onOrder(null, 0);
  }

  halt() {
    this.turn += 1;
  }

  /** @param {number} turn */
  async #follow(turn) {
    let isComplete = false;
    let last = "";
    while (turn === this.turn) {
      try {
        const response = this.isHidden() ? null : await this.fetch(this.address(), { cache: "no-store" });
        if (turn !== this.turn) return;
        if (response?.ok) {
          const { order, waiting, ranked } = await response.json();
          if (turn !== this.turn) return;
          const isShown = !isComplete || waiting === 0;
          isComplete ||= waiting === 0 && ranked > 0;
          const news = `${order} ${waiting} ${ranked}`;
          if (isShown && news !== last) this.onOrder(order, waiting);
          if (isShown) last = news;
        }
      } catch {
        // asked again soon
      }
      await this.sleep(EVERY_MS);
    }
  }
}
