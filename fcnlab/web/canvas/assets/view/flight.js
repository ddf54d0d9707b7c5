// @ts-check
import { along } from "../state/view.js";

/** @typedef {import("../types.js").View} View */

/** The way from one asked pixel to the next takes this long, so that the eye can follow. */
const FLIGHT_MS = 240;

/** Moves from one view to another, frame by frame. */
export class Flight {
  /** @param {(view: View) => void} show */
  constructor(show) {
    this.show = show;
    this.frame = 0;
  }

  /** @param {View} from @param {View} to @param {import("../types.js").Size} viewport */
  go(from, to, viewport) {
    this.land();
    const began = performance.now();
    const isStill = window.matchMedia("(prefers-reduced-motion: reduce)").matches;
    const step = () => {
      const part = isStill ? 1 : Math.min(1, (performance.now() - began) / FLIGHT_MS);
      this.show(along(from, to, part * part * (3 - 2 * part), viewport));
      this.frame = part < 1 ? requestAnimationFrame(step) : 0;
    };
    step();
  }

  /** A movement on its way ends where it is. */
  land() {
    cancelAnimationFrame(this.frame);
    this.frame = 0;
  }
}
