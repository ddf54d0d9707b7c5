// @ts-check
/** What a click waits for in the browser, in this order. */
const STEPS = /** @type {const} */ (["sent", "acknowledged", "received", "painted"]);

/** @typedef {typeof STEPS[number]} Step */

/** How long after the last click each step came, in milliseconds. */
export class ClickSpans {
  /** @param {() => number} [now] milliseconds */
  constructor(now = () => performance.now()) {
    this.now = now;
    this.click = { seq: 0, at: 0 };
    /** @type {Partial<Record<Step, number>>} */
    this.steps = {};
  }

  /** Event `seq` was made, which asks for another mask. @param {number} seq */
  clicked(seq) {
    this.click = { seq, at: this.now() };
    this.steps = {};
  }

  /** A step that concerns all events up to `covers`; only the first time counts. @param {Step} step @param {number} [covers] */
  reached(step, covers = Infinity) {
    if (this.click.seq === 0 || covers < this.click.seq || step in this.steps) return;
    this.steps[step] = Math.round(10 * (this.now() - this.click.at)) / 10;
  }

  /** Milliseconds from the last click to a moment of the clock; of one on another machine as good as the clocks agree. @param {number} moment */
  since(moment) {
    return moment - performance.timeOrigin - this.click.at;
  }

  /** Whether the mask of the last click is on the screen. */
  get isPainted() {
    return "painted" in this.steps;
  }
}

/**
 * What the last click took, in lines: on the server part by part, in the browser since the click.
 * @param {Record<string, number>} server milliseconds by part
 * @param {Partial<Record<Step, number>>} browser
 * @returns {string}
 */
export function spansInWords(server, browser) {
  const parts = Object.entries(server).map(([name, took]) => `${name} ${took.toFixed(1)}`);
  const steps = STEPS.filter((step) => step in browser).map((step) => `${step} ${browser[step]?.toFixed(0)}`);
  const lines = parts.length > 0 ? [`Server, ms: ${parts.join(", ")}`] : [];
  if (steps.length > 0) lines.push(`Browser, ms after the click: ${steps.join(", ")}`);
  return lines.join("\n");
}
